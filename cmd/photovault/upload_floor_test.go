package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
)

// uploadFloor is what an upload costs at least: a server that takes the same
// PATCHes over the same TLS, appends their bytes to a file, and syncs it before
// it answers. It knows nobody, decides nothing and writes nothing down. Its
// arguments are an address file, a folder, a certificate and its key.
func uploadFloor(args []string) int {
	dir, server := args[1], &http.Server{}
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := appendDurably(filepath.Join(dir, filepath.Base(r.URL.Path)), r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	l, err := listenFor(args[0])
	if err == nil {
		err = server.ServeTLS(l, args[2], args[3])
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func appendDurably(path string, body io.Reader) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, body)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}
