package vault

import (
	"slices"
	"strings"

	"photovault/consent"
	"photovault/vault/audit"
	"photovault/vault/id"
)

// logged is what the audit log says of rows that must be there.
type logged struct {
	accounts  map[id.Account]string  // created or revoked
	photos    map[id.Photo]string    // declared, ready or deleted
	records   map[string]record      // consent or authorization, by id
	patients  map[id.Patient]bool    // created
	ended     map[string]id.Patient  // consent or authorization that was revoked or expired
	events    map[string]id.Patient  // event of a record, by id
	campaigns map[id.Campaign]string // created or closed
	takedowns map[id.Takedown]int    // opened: how many confirmations
	templates map[id.Template]int    // how many versions
	documents map[id.Document]bool   // added
	volumes   map[id.Account]int64   // newest version
	notices   map[id.Notice]bool     // written; true: taken, or given up
}

type record struct {
	patient id.Patient
	kind    audit.Action
}

func newLogged() logged {
	return logged{map[id.Account]string{}, map[id.Photo]string{}, map[string]record{}, map[id.Patient]bool{}, map[string]id.Patient{}, map[string]id.Patient{},
		map[id.Campaign]string{}, map[id.Takedown]int{}, map[id.Template]int{}, map[id.Document]bool{}, map[id.Account]int64{}, map[id.Notice]bool{}}
}

// add takes what an entry says was done.
func (l *logged) add(e *audit.Entry) {
	if e.Action == audit.NoticeDeliver { // given up is an end, too
		l.notices[id.Notice(e.Subject)] = true
	}
	if e.Outcome != audit.Allowed && e.Outcome != audit.Complete {
		return
	}
	for _, r := range e.Records {
		if n, ok := strings.CutPrefix(r, noticeBasis); ok {
			l.notices[id.Notice(n)] = l.notices[id.Notice(n)]
		}
		if v, ok := consent.VolumeVersion(r); ok {
			l.volumes[e.Actor] = max(l.volumes[e.Actor], v)
		}
	}
	if slices.Contains([]audit.Action{audit.RecordEvent, audit.ConsentRevoke, audit.PatientCreate}, e.Action) {
		for _, r := range e.Records {
			if event, ok := strings.CutPrefix(r, "event/"); ok {
				l.events[event] = e.Patient
			}
		}
	}
	switch e.Action {
	case audit.CampaignCreate:
		if l.campaigns[id.Campaign(e.Subject)] == "" {
			l.campaigns[id.Campaign(e.Subject)] = "created"
		}
	case audit.CampaignClose:
		l.campaigns[id.Campaign(e.Subject)] = "closed"
	case audit.TemplateAdd:
		l.templates[id.Template(e.Subject)]++
	case audit.DocumentAdd:
		l.documents[id.Document(e.Subject)] = true
	case audit.TakedownOpen:
		l.takedowns[id.Takedown(e.Subject)] += 0
	case audit.TakedownConfirm:
		l.takedowns[id.Takedown(e.Subject)]++
	case audit.AccountCreate:
		if l.accounts[id.Account(e.Subject)] == "" {
			l.accounts[id.Account(e.Subject)] = "created"
		}
	case audit.AccountRevoke:
		l.accounts[id.Account(e.Subject)] = "revoked"
	case audit.PatientCreate:
		l.patients[e.Patient] = true
	case audit.ConsentRecord, audit.AuthorizeRecord:
		l.records[e.Subject] = record{e.Patient, e.Action}
	case audit.ConsentRevoke:
		l.ended[e.Subject] = e.Patient
	case audit.PhotoDeclare:
		if l.photos[e.Photo] == "" {
			l.photos[e.Photo] = "declared"
		}
	case audit.PhotoIngest:
		if l.photos[e.Photo] != "deleted" && e.Reason == "" {
			l.photos[e.Photo] = "ready"
		}
	case audit.PhotoDelete:
		l.photos[e.Photo] = "deleted"
	}
}

// compare holds the rows against what the log says.
func (p *pass) compare() {
	for a, state := range p.log.accounts {
		switch row := p.accounts[a]; {
		case row == nil:
			p.find("row_missing", "account "+string(a))
		case state == "revoked" && row.Active():
			p.find("row_rolled_back", "account "+string(a))
		}
	}
	for a := range p.accounts {
		if p.log.accounts[a] == "" {
			p.find("row_unlogged", "account "+string(a))
		}
	}
	for photo, state := range p.log.photos {
		switch row := p.photos[photo]; {
		case row == nil:
			p.find("row_missing", "photo "+string(photo))
		case state == "deleted" && row.State != Removed, state == "ready" && row.State != Ready && row.State != Removed:
			p.find("row_rolled_back", "photo "+string(photo))
		}
	}
	for photo := range p.photos {
		if p.log.photos[photo] == "" {
			p.find("row_unlogged", "photo "+string(photo))
		}
	}
	for patient := range p.log.patients {
		if _, there := p.patients[patient]; !there || !p.named[patient] {
			p.find("row_missing", "patient "+string(patient))
		}
	}
	for c, state := range p.log.campaigns {
		switch row := p.campaigns[c]; {
		case row == nil:
			p.find("row_missing", "campaign "+string(c))
		case state == "closed" && row.ClosedAt.IsZero():
			p.find("row_rolled_back", "campaign "+string(c))
		}
	}
	for c := range p.campaigns {
		if p.log.campaigns[c] == "" {
			p.find("row_unlogged", "campaign "+string(c))
		}
	}
	p.comparePapers()
	p.compareTakedowns()
	p.compareRecords()
	p.compareVolumes()
	p.compareNotices()
}

// compareVolumes: a volume is written with every entry that names it, and
// never removed.
func (p *pass) compareVolumes() {
	for a, version := range p.log.volumes {
		switch row, there := p.volumes[a]; {
		case !there:
			p.find("row_missing", "volume "+string(a))
		case row < version:
			p.find("row_rolled_back", "volume "+string(a))
		}
	}
	for a, version := range p.volumes {
		if version > p.log.volumes[a] {
			p.find("row_unlogged", "volume "+string(a))
		}
	}
}

// compareNotices: a message is in the outbox from the entry that it was
// written with to the one that says how it ended.
func (p *pass) compareNotices() {
	for n, ended := range p.log.notices {
		switch {
		case !ended && !p.notices[n]:
			p.find("row_missing", "outbox "+string(n))
		case ended && p.notices[n]:
			p.find("row_rolled_back", "outbox "+string(n))
		}
	}
	for n := range p.notices {
		if _, written := p.log.notices[n]; !written {
			p.find("row_unlogged", "outbox "+string(n))
		}
	}
}

// comparePapers: rows of both are only ever added.
func (p *pass) comparePapers() {
	for t, n := range p.log.templates {
		if p.templates[t] < n {
			p.find("row_missing", "template "+string(t))
		}
	}
	for t, n := range p.templates {
		if p.log.templates[t] < n {
			p.find("row_unlogged", "template "+string(t))
		}
	}
	for d := range p.log.documents {
		if !p.documents[d] {
			p.find("row_missing", "document "+string(d))
		}
	}
	for d := range p.documents {
		if !p.log.documents[d] {
			p.find("row_unlogged", "document "+string(d))
		}
	}
}

func (p *pass) compareTakedowns() {
	for t, n := range p.log.takedowns {
		switch row := p.takedowns[t]; {
		case row == nil:
			p.find("row_missing", "takedown "+string(t))
		case row.Confirmed < n:
			p.find("row_rolled_back", "takedown "+string(t))
		case row.Confirmed > n:
			p.find("row_unlogged", "takedown_confirmation "+string(t))
		case p.confirmed[t] != n:
			p.find("row_missing", "takedown_confirmation "+string(t))
		}
	}
	for t := range p.takedowns {
		if _, opened := p.log.takedowns[t]; !opened {
			p.find("row_unlogged", "takedown "+string(t))
		}
	}
}

func (p *pass) compareRecords() {
	held, ended, events := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for patient, r := range p.patients {
		if !p.log.patients[patient] {
			p.find("row_unlogged", "patient "+string(patient))
		}
		if r == nil {
			continue // found already
		}
		for _, c := range r.Clinicals {
			held[string(c.ID)] = true
		}
		for _, a := range r.Authorizations {
			held[string(a.ID)] = true
		}
		for _, e := range r.Events {
			events[string(e.ID)] = true
			if e.Kind != consent.Deleted && p.log.events[string(e.ID)] != patient {
				p.find("row_unlogged", "permission "+string(e.ID))
			}
			if e.Kind == consent.Revoked || e.Kind == consent.Expired {
				ended[e.Subject] = true
			}
		}
	}
	for subject, of := range p.log.records {
		if r, there := p.patients[of.patient]; there && r != nil && !held[subject] {
			p.find("row_rolled_back", "patient "+string(of.patient))
		}
	}
	for subject, patient := range p.log.ended {
		if r, there := p.patients[patient]; there && r != nil && !ended[subject] {
			p.find("row_rolled_back", "patient "+string(patient))
		}
	}
	for event, patient := range p.log.events {
		if r, there := p.patients[patient]; there && r != nil && !events[event] {
			p.find("row_rolled_back", "patient "+string(patient))
		}
	}
	for subject := range held {
		if p.log.records[subject].patient == "" {
			p.find("row_unlogged", "permission "+subject)
		}
	}
}
