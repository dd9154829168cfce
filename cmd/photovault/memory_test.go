package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"photovault/api"
	"photovault/api/client"
)

// Many uploads of 12 MP at once: service and media workers together stay
// within 512 MiB, the uploads that do not fit wait, and none fails. make soak
// sends 32 at once.
func TestSoakMemory(t *testing.T) {
	uploads := 6
	if os.Getenv("PHOTOVAULT_SOAK_ROUNDS") != "" {
		uploads = 32
	}
	const limit = 512 << 20
	v := newVault(t)
	photo := largePhoto(t)
	patient := v.patientWithConsent("MRN-MANY")
	conf, err := home(v.home).loadSettings()
	if err != nil {
		t.Fatal(err)
	}
	provider, err := client.New(v.server(), v.tokens["provider"], []byte(conf.CA))
	if err != nil {
		t.Fatal(err)
	}
	stop, peak := make(chan struct{}), make(chan int64)
	go func() {
		var high int64
		for tick := time.NewTicker(10 * time.Millisecond); ; {
			select {
			case <-stop:
				tick.Stop()
				peak <- high
				return
			case <-tick.C:
				high = max(high, familyMemory(v.cmd.Process.Pid))
			}
		}
	}()
	began := time.Now()
	var wg sync.WaitGroup
	for range uploads {
		wg.Go(func() {
			p, err := provider.Put(t.Context(), bytes.NewReader(photo), client.PutOptions{Photo: api.NewPhoto{Patient: patient},
				Pinned: conf.UploadSigningKey, Practice: conf.Practice})
			if err == nil {
				_, err = provider.Await(t.Context(), p.ID)
			}
			if err != nil {
				t.Errorf("an upload failed: %v", err)
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	close(stop)
	high := <-peak
	ledger.note("%d uploads of %d KiB at once: peak memory of service and workers %d MiB (limit %d MiB), %.2f photos/s",
		uploads, len(photo)>>10, high>>20, limit>>20, float64(uploads)/took.Seconds())
	if high > limit {
		t.Errorf("peak memory %d MiB", high>>20)
	}
}

// familyMemory is the resident memory of a process and its children in bytes,
// pages that they share counted in each.
func familyMemory(pid int) int64 {
	total := resident(pid)
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, f := range tasks {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // the thread ended
		}
		for child := range strings.FieldsSeq(string(b)) {
			if n, err := strconv.Atoi(child); err == nil {
				total += resident(n)
			}
		}
	}
	return total
}

func resident(pid int) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
