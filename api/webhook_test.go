package api_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"encoding/pem"

	"photovault/api"
	"photovault/vault"
	"photovault/vault/audit"
	"photovault/vault/webhook"
)

// listener is a receiver: a real server with TLS that answers as it is told.
type listener struct {
	*httptest.Server
	patient, hasty *webhook.Receiver

	mu     sync.Mutex
	status int // 0: it hangs
	got    []message
	tries  int
}

type message struct {
	id   string
	body string
	Type string
	Data map[string]any
}

func newListener(t testing.TB, status int) *listener {
	t.Helper()
	key := []byte(strings.Repeat("k", 32))
	l := &listener{status: status}
	l.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		sent, bad := strconv.ParseInt(r.Header.Get("webhook-timestamp"), 10, 64) // the stack's clock runs ahead
		if err != nil || bad != nil || !webhook.Verify(key, r.Header, body, time.Unix(sent, 0)) {
			t.Errorf("a message that is not signed: %v %s", err, body)
		}
		l.mu.Lock()
		l.tries++
		status := l.status
		m := message{id: r.Header.Get("webhook-id"), body: string(body)}
		if json.Unmarshal(body, &m) != nil {
			t.Errorf("no JSON: %s", body)
		}
		if status/100 == 2 {
			l.got = append(l.got, m)
		}
		l.mu.Unlock()
		switch status {
		case 0:
			<-r.Context().Done()
		case 307:
			http.Redirect(w, r, "/elsewhere", status)
		default:
			w.WriteHeader(status)
		}
	}))
	t.Cleanup(l.Close)
	ca := t.TempDir() + "/ca.pem"
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: l.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	open := func(timeout time.Duration) *webhook.Receiver {
		r, err := webhook.Open(webhook.Options{URL: l.URL + "/hook", CAFile: ca, ServerName: "example.com", Timeout: timeout,
			Secret: func() ([]byte, error) { return []byte("whsec_" + base64.StdEncoding.EncodeToString(key)), nil }})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	l.patient, l.hasty = open(10*time.Second), open(time.Second)
	return l
}

// Post waits for a second where there is nothing to wait for.
func (l *listener) Post(ctx context.Context, id string, at time.Time, body []byte) error {
	l.mu.Lock()
	hangs := l.status == 0
	l.mu.Unlock()
	if hangs {
		return l.hasty.Post(ctx, id, at, body)
	}
	return l.patient.Post(ctx, id, at, body)
}

func (l *listener) answer(status int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.status = status
}

func (l *listener) tried() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tries
}

// received are the messages of the kind that were taken.
func (l *listener) received(kind string) (out []message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.got {
		if m.Type == kind {
			out = append(out, m)
		}
	}
	return out
}

// record is a log that can be looked at while it is written.
type record struct {
	mu  sync.Mutex
	all []byte
}

func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, b...)
	return len(b), nil
}

func (r *record) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return string(r.all)
}

func told(receivers map[vault.Audience]vault.Receiver) func(*options) {
	return func(o *options) {
		o.config = func(c *vault.Config) { c.Receivers = receivers }
	}
}

// A revocation tells the system that publishes; a receiver that fails, hangs or
// redirects is tried again until it takes the message, and what it is told
// names nobody.
func TestTheMarketingSystemIsToldWhateverItDoes(t *testing.T) {
	l := newListener(t, 503)
	s := newStack(t, told(map[vault.Audience]vault.Receiver{vault.ForMarketing: l}))
	task := s.withdrawn()
	tries := 0
	for _, status := range []int{503, 307, 0, 204} {
		l.answer(status)
		s.eventually("it is tried again", func() bool { s.clock.advance(time.Minute); return l.tried() > tries })
		if status != 204 {
			tries = l.tried()
		}
	}
	s.eventually("it is taken", func() bool { return len(l.received("takedown.opened")) == 1 })
	m := l.received("takedown.opened")[0]
	if m.Data["takedown"] != string(task.ID) || m.Data["photo"] != string(task.Photo) || m.Data["recipient"] != studio || m.Data["campaign"] != string(task.Campaign) ||
		m.Data["reason"] != "authorization_revoked" {
		t.Errorf("%s", m.body)
	}
	for _, never := range []string{"Erika", "MRN-", "patient", "pvt_", "pvc_"} {
		if strings.Contains(m.body, never) {
			t.Errorf("%s is in %s", never, m.body)
		}
	}
	s.ask("POST", "/v1/takedowns/"+string(task.ID)+"/confirmations", s.token("marketing"), api.NewConfirmation{Text: "gone"}).ok(201)
	s.eventually("the confirmation is told at once", func() bool { return len(l.received("takedown.confirmed")) == 1 })
	s.eventually("the log says so", func() bool {
		return s.logged(func(e vault.Logged) bool {
			return e.Action == audit.NoticeDeliver && e.Outcome == audit.Allowed && e.Subject == m.id && e.Count >= 4
		}) == 1
	})
}

// 164.312(a)(2)(ii): an emergency is told at once, marketing cannot declare
// one, and an alert that was not taken comes again.
func TestAnEmergencyRaisesAnAlertAtOnce(t *testing.T) {
	l := newListener(t, 204)
	var log record
	s := newStack(t, func(o *options) {
		o.config = func(c *vault.Config) {
			c.Receivers, c.Logger = map[vault.Audience]vault.Receiver{vault.ForAlerts: l}, slog.New(slog.NewTextHandler(&log, nil))
		}
	})
	patient := s.consented()
	account, other := s.account("provider")
	e := into[api.Event](s.ask("POST", patientPath(patient, "/emergencies"), other, api.NewEmergency{Reason: "unconscious Erika"}), 201)
	s.eventually("the alert", func() bool { return len(l.received("emergency.opened")) == 1 })
	if m := l.received("emergency.opened")[0]; m.Data["event"] != string(e.ID) || m.Data["patient"] != string(patient) || m.Data["account"] != string(account) ||
		strings.Contains(m.body, "Erika") {
		t.Errorf("%s", m.body)
	}
	if text := log.text(); !strings.Contains(text, "level=ERROR") || !strings.Contains(text, "ALERT") || !strings.Contains(text, string(e.ID)) || strings.Contains(text, "Erika") {
		t.Errorf("the log says %s", text)
	}
	l.answer(500)
	tries := l.tried()
	s.ask("POST", patientPath(patient, "/emergencies"), s.token("marketing"), api.NewEmergency{Reason: "a deadline"}).problem(403, "role_not_allowed")
	s.ask("POST", patientPath(patient, "/emergencies"), other, api.NewEmergency{Reason: "again"}).ok(201)
	s.eventually("it fails", func() bool { return l.tried() > tries })
	l.answer(204)
	s.eventually("the second alert", func() bool { s.clock.advance(time.Minute); return len(l.received("emergency.opened")) == 2 })
}

// A receiver that never takes a message is given up after a week, and the log says so.
func TestAReceiverThatNeverAnswersIsGivenUp(t *testing.T) {
	l := newListener(t, 500)
	s := newStack(t, told(map[vault.Audience]vault.Receiver{vault.ForMarketing: l}))
	task := s.withdrawn()
	s.eventually("it fails", func() bool { return l.tried() > 0 })
	s.clock.advance(8 * 24 * time.Hour)
	s.eventually("it is given up", func() bool {
		n := 0
		s.must(s.catalog.ForPractice(s.practice).AuditRecords(context.Background(), 0, func(r audit.Record) error {
			e, err := audit.Decode(r.Encoded)
			if err == nil && e.Action == audit.NoticeDeliver && e.Outcome == audit.Failed && len(e.Records) == 1 && e.Records[0] == "takedown/"+string(task.ID) {
				n++
			}
			return err
		}))
		return n == 1
	})
}
