package s3_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"photovault/vault/blobs"
	"photovault/vault/blobs/s3"
	"photovault/vault/blobs/s3/s3test"
	"photovault/vault/id"
	"photovault/vault/vaulttest/devstack"
)

const killedOptions = "PHOTOVAULT_TEST_KILLED_OPTIONS"

// TestMain is also the process that TestKilledWriter kills: it puts objects
// of one practice and names each one as soon as its Put has returned.
func TestMain(m *testing.M) {
	file := os.Getenv(killedOptions)
	if file == "" {
		os.Exit(m.Run())
	}
	if err := writeForEver(file); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type killed struct {
	Options  s3.Options
	Practice id.Practice
}

func writeForEver(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var k killed
	if err := json.Unmarshal(b, &k); err != nil {
		return err
	}
	s, err := s3.Open(context.Background(), k.Options)
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		n := blobs.Name{Practice: k.Practice, Area: blobs.Photos, Object: id.New[id.Object]()}
		b := content(n)
		put := bytes.NewReader(b)
		if i%4 == 3 {
			err = s.Put(context.Background(), n, stream(b), int64(len(b)))
		} else {
			err = s.Put(context.Background(), n, put, int64(len(b)))
		}
		if err != nil {
			return err
		}
		fmt.Println(n)
	}
}

// content is what the killed writer puts under a name: 9 MiB.
func content(n blobs.Name) []byte {
	digest := sha256.Sum256([]byte(n.String()))
	return bytes.Repeat(digest[:], 9<<15)
}

func TestKilledWriterLosesNothingAcknowledged(t *testing.T) {
	each(t, func(t *testing.T, server devstack.S3, ca string) {
		k := killed{Options: s3test.Bucket(t, server, ca), Practice: id.New[id.Practice]()}
		b, err := json.Marshal(k)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "options.json")
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		s := open(t, k.Options)
		var acknowledged []blobs.Name
		for round := range 2 {
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), killedOptions+"="+file)
			cmd.Stderr = os.Stderr
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			for i := 0; lines.Scan(); i++ {
				_, object, _ := strings.Cut(strings.TrimPrefix(lines.Text(), "photos/"), "/")
				acknowledged = append(acknowledged, blobs.Name{Practice: k.Practice, Area: blobs.Photos, Object: id.Object(object)})
				if i == 3+round { // in the middle of the next one
					cmd.Process.Signal(syscall.SIGKILL)
				}
			}
			cmd.Wait()
			if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
				t.Fatal("the writer ended by itself")
			}
		}
		if len(acknowledged) < 9 {
			t.Fatalf("%d puts before it was killed", len(acknowledged))
		}
		for _, n := range acknowledged {
			if b, err := got(s, t.Context(), n, 0, -1); err != nil || !bytes.Equal(b, content(n)) {
				t.Errorf("%s was acknowledged: %d bytes, %v", n, len(b), err)
			}
		}
		listed := 0
		if err := s.List(t.Context(), k.Practice, blobs.Photos, func(n blobs.Name, size int64) error {
			if listed++; size != int64(len(content(n))) { // also what was not acknowledged is whole
				t.Errorf("%s is half there: %d bytes", n, size)
			}
			return s.Delete(t.Context(), n)
		}); err != nil || listed < len(acknowledged) {
			t.Errorf("%d listed, %v", listed, err)
		}
		if _, err := got(s, t.Context(), acknowledged[0], 0, -1); !errors.Is(err, blobs.ErrNotFound) {
			t.Error(err)
		}
	})
}
