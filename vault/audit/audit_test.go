package audit_test

import (
	"crypto/ed25519"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"photovault/vault/audit"
	"photovault/vault/id"
)

var (
	practice = id.New[id.Practice]()
	macKey   = []byte(strings.Repeat("k", 32))
)

func written(n int) []audit.Record {
	var (
		out  []audit.Record
		head audit.Head
	)
	for i := range n {
		e := &audit.Entry{ID: id.New[id.Entry](), Practice: practice, At: time.UnixMilli(int64(i)).UTC(), Action: audit.Release, Outcome: audit.Intent}
		b := e.Encode()
		head = head.Next(int64(i+1), b)
		out = append(out, audit.Record{Seq: int64(i + 1), Encoded: b, MAC: audit.MAC(macKey, b), Head: head})
	}
	return out
}

func checkpoint(records []audit.Record) audit.Checkpoint {
	last := records[len(records)-1]
	return audit.Checkpoint{Practice: practice, Size: last.Seq, Head: last.Head, At: time.UnixMilli(1).UTC()}
}

func verify(records []audit.Record, c ...audit.Checkpoint) error {
	v, err := audit.NewVerifier(practice, macKey, c...)
	if err != nil {
		return err
	}
	for _, r := range records {
		if _, err := v.Add(r); err != nil {
			return err
		}
	}
	_, err = v.Finish()
	return err
}

func TestEntryRoundTrip(t *testing.T) {
	e := &audit.Entry{ID: id.New[id.Entry](), Practice: practice, At: time.UnixMilli(1795000000123).UTC(), Actor: "a", Role: "provider",
		Action: audit.Release, Outcome: audit.Complete, Reason: "r", Patient: "p", Photo: "f", Rendition: "web", Purpose: "marketing",
		Recipient: "Ümläut & co", Channel: "print", Subject: "s", Use: 2, Count: 7, Source: "192.0.2.1", Records: []string{"x/1", "", "y/2"}}
	got, err := audit.Decode(e.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(e, got); d != "" {
		t.Error(d)
	}
}

// H14: edit, delete, reorder, cut the tail, fork, restore yesterday's copy.
func TestVerifierFindsTampering(t *testing.T) {
	records := written(20)
	forked := written(20)
	c := checkpoint(records)
	other := &audit.Entry{ID: id.New[id.Entry](), Practice: id.New[id.Practice]()}
	if err := verify(records, c); err != nil {
		t.Fatalf("an intact log: %v", err)
	}
	rechained := func(rs []audit.Record) []audit.Record { // an enemy who can hash, but has no MAC key
		var head audit.Head
		for i := range rs {
			rs[i].Seq = int64(i + 1)
			head = head.Next(rs[i].Seq, rs[i].Encoded)
			rs[i].Head = head
		}
		return rs
	}
	edit := func(f func([]audit.Record) []audit.Record) []audit.Record {
		rs := slices.Clone(records)
		for i := range rs {
			rs[i].Encoded = slices.Clone(rs[i].Encoded)
		}
		return f(rs)
	}
	for name, rs := range map[string][]audit.Record{
		"edited":               edit(func(r []audit.Record) []audit.Record { r[5].Encoded[60] ^= 1; return r }),
		"edited and rechained": edit(func(r []audit.Record) []audit.Record { r[5].Encoded[60] ^= 1; return rechained(r) }),
		"deleted":              edit(func(r []audit.Record) []audit.Record { return slices.Delete(r, 5, 6) }),
		"deleted, rechained":   edit(func(r []audit.Record) []audit.Record { return rechained(slices.Delete(r, 5, 6)) }),
		"first deleted":        edit(func(r []audit.Record) []audit.Record { return rechained(r[1:]) }),
		"reordered":            edit(func(r []audit.Record) []audit.Record { r[3], r[4] = r[4], r[3]; return r }),
		"reordered, rechained": edit(func(r []audit.Record) []audit.Record { r[3], r[4] = r[4], r[3]; return rechained(r) }),
		"repeated":             edit(func(r []audit.Record) []audit.Record { return rechained(slices.Insert(r, 4, r[3])) }),
		"tail cut":             edit(func(r []audit.Record) []audit.Record { return r[:15] }),
		"forked":               forked,
		"emptied":              nil,
		"inserted": edit(func(r []audit.Record) []audit.Record {
			return rechained(slices.Insert(r, 4, audit.Record{Encoded: forked[0].Encoded, MAC: audit.MAC([]byte(strings.Repeat("x", 32)), forked[0].Encoded)}))
		}),
		"another practice's": edit(func(r []audit.Record) []audit.Record {
			return append(r, audit.Record{Encoded: other.Encode(), MAC: audit.MAC(macKey, other.Encode())})
		}),
	} {
		if err := verify(rs, c); !errors.Is(err, audit.ErrTampered) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEntriesWithoutNumberAreCheckedToo(t *testing.T) {
	records := written(5)
	records[4].Seq, records[4].Head = 0, audit.Head{}
	if err := verify(records, checkpoint(records[:4])); err != nil {
		t.Fatal(err)
	}
	records[4].MAC = slices.Clone(records[4].MAC)
	records[4].MAC[0] ^= 1
	if err := verify(records); !errors.Is(err, audit.ErrTampered) {
		t.Errorf("edited before it was chained: %v", err)
	}
}

func TestCheckpointIsSigned(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := checkpoint(written(3))
	c.Sign(private)
	if err := c.Verify(public); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*audit.Checkpoint){
		"size":     func(c *audit.Checkpoint) { c.Size-- },
		"head":     func(c *audit.Checkpoint) { c.Head[0] ^= 1 },
		"time":     func(c *audit.Checkpoint) { c.At = c.At.Add(time.Second) },
		"practice": func(c *audit.Checkpoint) { c.Practice = id.New[id.Practice]() },
	} {
		bad := c
		change(&bad)
		if err := bad.Verify(public); !errors.Is(err, audit.ErrTampered) {
			t.Errorf("another %s verifies: %v", name, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(written(1)[0].Encoded)
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := audit.Decode(b)
		if err != nil {
			return
		}
		if again, err := audit.Decode(e.Encode()); err != nil || cmp.Diff(e, again) != "" {
			t.Fatalf("decode, encode, decode differs: %v", err)
		}
	})
}
