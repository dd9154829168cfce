package consent

import "slices"

// Refusal is one reason against. Code is stable; Paragraph is of 45 CFR, empty
// where the rule is the product's own; Sentence is for the person at the front desk.
type Refusal struct {
	Code      string `json:"code"`
	Paragraph string `json:"paragraph,omitempty"`
	Sentence  string `json:"sentence"`
}

// Every refusal that a decision can give. Names follow the codes.
var (
	notFound           = Refusal{"not_found", "", "There is no such photo."}
	purposeUnknown     = Refusal{"purpose_unknown", "164.508(a)(1)", "Say what the photo is for: clinical, teaching or marketing."}
	roleNotAllowed     = Refusal{"role_not_allowed", "164.312(a)(1)", "Your role may not open photos for this purpose."}
	photoNotReady      = Refusal{"photo_not_ready", "", "The photo has not finished processing, or was rejected."}
	photoRestricted    = Refusal{"photo_restricted", "164.522(a)(1)", "The patient asked that this photo not be used for this, and the practice agreed."}
	noRelation         = Refusal{"no_relation", "164.514(d)(2)", "You do not treat this patient. Ask the front desk to assign you; in an emergency, open the record with a reason."}
	noClinicalConsent  = Refusal{"no_clinical_consent", "164.506(b)", "Record the patient's clinical consent before taking a photo."}
	noTeachingConsent  = Refusal{"no_teaching_consent", "164.506(b)", "The patient has not agreed that photos are used for teaching inside the practice."}
	noAuthorization    = Refusal{"no_authorization", "164.508(a)(3)(i)", "The patient has signed no marketing authorization."}
	incomplete         = Refusal{"authorization_incomplete", "164.508(b)(2)(ii)", "The authorization is not complete; complete it first."}
	revoked            = Refusal{"authorization_revoked", "164.508(b)(2)(iii)", "The patient has revoked the authorization."}
	expired            = Refusal{"authorization_expired", "164.508(b)(2)(i)", "The authorization has expired."}
	superseded         = Refusal{"authorization_superseded", "164.508(b)(2)", "A newer authorization has taken the place of this one."}
	foundFalse         = Refusal{"authorization_false", "164.508(b)(2)(v)", "Something material in the authorization is known to be false."}
	compound           = Refusal{"authorization_compound", "164.508(b)(3)", "The same document serves as a consent for care; an authorization must be a document of its own."}
	conditioned        = Refusal{"authorization_conditioned", "164.508(b)(4)", "Treatment was made to depend on signing the authorization."}
	photoNotInScope    = Refusal{"photo_not_in_scope", "164.508(c)(1)(i)", "The authorization does not cover this photo."}
	renditionNotInIt   = Refusal{"rendition_not_authorized", "164.502(b)", "The authorization does not allow this rendition; use a smaller or masked one."}
	recipientNotNamed  = Refusal{"recipient_not_named", "164.508(c)(1)(iii)", "The authorization does not name this recipient."}
	channelNotNamed    = Refusal{"channel_not_named", "164.508(c)(1)(iv)", "The authorization does not allow this channel."}
	purposeNotNamed    = Refusal{"purpose_not_named", "164.508(c)(1)(iv)", "The authorization does not name the purpose of this campaign."}
	paymentNotStated   = Refusal{"payment_not_stated", "164.508(a)(3)(ii)", "A third party pays for this campaign, and the authorization does not say so."}
	saleNotStated      = Refusal{"sale_not_stated", "164.508(a)(4)", "The practice is paid for the photos, and the authorization does not say so."}
	noCampaign         = Refusal{"no_campaign", "164.508(c)(1)(iv)", "Say which campaign the photo is for."}
	campaignNotRunning = Refusal{"campaign_not_running", "", "The campaign has not begun, is over, or was closed."}
	recipientNotInIt   = Refusal{"recipient_not_in_campaign", "", "The campaign does not name this recipient."}
	channelNotInIt     = Refusal{"channel_not_in_campaign", "", "The campaign does not use this channel."}
	policyForbids      = Refusal{"practice_policy", "", "A policy of the practice forbids it."}
	policyFails        = Refusal{"practice_policy_error", "", "A policy of the practice cannot be evaluated; until it is mended it forbids."}
)

// Refusals lists every refusal that a decision can give, in the order in which
// they are looked for.
func Refusals() []Refusal {
	return slices.Clone([]Refusal{notFound, purposeUnknown, roleNotAllowed, photoNotReady, photoRestricted, noRelation, noClinicalConsent,
		noTeachingConsent, noCampaign, campaignNotRunning, recipientNotInIt, channelNotInIt, noAuthorization, incomplete, revoked, expired,
		superseded, foundFalse, compound, conditioned, photoNotInScope, renditionNotInIt, recipientNotNamed, channelNotNamed, purposeNotNamed,
		paymentNotStated, saleNotStated, policyForbids, policyFails})
}
