// Package consent decides. It holds who is asking (Principal), what patients
// have agreed to (Clinical, Authorization, Event), the decision itself
// (Decide*, pure functions of explicit inputs), and the Permit without which
// nothing in photovault opens a photo.
//
// Clinical consents and marketing authorizations are separate kinds of record
// and neither is ever read as the other (45 CFR 164.506, 164.508).
package consent

import "photovault/vault/id"

// Role is what an account may do; every account has exactly one.
type Role string

// Roles, 45 CFR 164.312(a)(1). What each may do stands in the table may.
const (
	Provider  Role = "provider"   // takes and reads photos for care
	FrontDesk Role = "front-desk" // patients and consents; knows that photos exist, sees none
	Marketing Role = "marketing"  // sees what an authorization allows, nothing else
	Admin     Role = "admin"      // operations: accounts, keys; no image
	Privacy   Role = "privacy"    // the privacy officer: records, audit trail, deletion; no image
	EMR       Role = "emr"        // a record system: reads by photo reference for clinical purpose
	Tablet    Role = "tablet"     // holder of an upload grant: can only add one photo
)

// AccountRoles are the roles an account can be given, in the order of help texts.
var AccountRoles = []Role{Provider, FrontDesk, Marketing, Admin, Privacy, EMR}

// ValidRole reports whether an account can be given the role.
func ValidRole(r Role) bool {
	for _, known := range AccountRoles {
		if r == known {
			return true
		}
	}
	return false
}

// Principal is who is asking, as established by api/identity. It is passed
// explicitly to everything that decides.
type Principal struct {
	Practice id.Practice
	Account  id.Account
	Role     Role
	Grant    id.Photo // of a Tablet: the one photo it may add
	Source   string   // address the request came from, for the audit entry
}

// Act is something a role may or may not do at all, before any record of a
// patient is looked at.
type Act string

// Acts.
const (
	ManageAccounts   Act = "manage accounts"
	ManageKeys       Act = "rotate, rewrap and erase keys"
	ReadAudit        Act = "read the audit trail"
	CreatePatient    Act = "create a patient"
	FindPatient      Act = "find a patient"
	RecordConsent    Act = "record a consent or authorization"
	RevokeConsent    Act = "revoke a consent or authorization"
	ListConsents     Act = "list consents"
	Restrict         Act = "restrict a photo at the patient's request"
	AssignProvider   Act = "say who treats a patient"
	DeclareEmergency Act = "open a record in an emergency"
	ReviewEmergency  Act = "review an emergency or a release that should not have been"
	SeeTakedowns     Act = "see what must come down"
	ConfirmTakedown  Act = "confirm that something came down"
	WriteTemplates   Act = "write the practice's texts of authorizations"
	RunCampaigns     Act = "make and close campaigns"
	SeeCampaigns     Act = "see campaigns"
	ExplainDecision  Act = "ask why a release is or is not allowed"
	ReadDisclosures  Act = "account for disclosures"
	CapturePhoto     Act = "add a photo"
	SeePhotoExists   Act = "see that a photo exists"
	ReadReceipt      Act = "read a sanitising receipt"
	DeletePhoto      Act = "delete a photo"
	DeriveRendition  Act = "make a rendition of a photo, or of several side by side"
	ReleaseClinical  Act = "open a photo for care"
	ReleaseTeaching  Act = "open a photo for teaching inside the practice"
	ReleaseMarketing Act = "open a photo for marketing"
)

// may is the whole of role-based access: what is not listed is denied.
var may = map[Role]map[Act]bool{
	Provider: {CreatePatient: true, FindPatient: true, RecordConsent: true, RevokeConsent: true, ListConsents: true, Restrict: true,
		AssignProvider: true, DeclareEmergency: true, ExplainDecision: true,
		CapturePhoto: true, SeePhotoExists: true, ReadReceipt: true, DeletePhoto: true, DeriveRendition: true, ReleaseClinical: true, ReleaseTeaching: true},
	FrontDesk: {CreatePatient: true, FindPatient: true, RecordConsent: true, RevokeConsent: true, ListConsents: true, Restrict: true,
		AssignProvider: true, SeeCampaigns: true, SeePhotoExists: true},
	Marketing: {RunCampaigns: true, SeeCampaigns: true, ExplainDecision: true, ReleaseMarketing: true, SeeTakedowns: true, ConfirmTakedown: true},
	Admin:     {ManageAccounts: true, ManageKeys: true, ReadAudit: true},
	Privacy: {WriteTemplates: true, FindPatient: true, RecordConsent: true, RevokeConsent: true, ListConsents: true, Restrict: true, AssignProvider: true,
		ReviewEmergency: true, RunCampaigns: true, SeeCampaigns: true, ExplainDecision: true, ReadDisclosures: true,
		SeeTakedowns: true, ConfirmTakedown: true,
		SeePhotoExists: true, ReadReceipt: true, DeletePhoto: true, ReadAudit: true},
	EMR:    {SeePhotoExists: true, ReleaseClinical: true},
	Tablet: {},
}

// May reports whether the role may do the act at all.
func (p Principal) May(a Act) bool { return may[p.Role][a] }
