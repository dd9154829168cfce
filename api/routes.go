package api

import (
	_ "embed"
	"time"
)

// route is one line of the surface. maxBody is in bytes; 0 means none is
// taken. auth: a bearer secret is demanded before the handler runs. timeout
// ends with the handler: a photo that streams is bounded by what it takes to write it.
type route struct {
	method  string
	path    string
	auth    bool
	maxBody int64
	timeout time.Duration
	handle  func(*call) error
}

const (
	quick  = 15 * time.Second
	slow   = 5 * time.Minute // looks at every key or every patient, or opens photos
	upload = 15 * time.Minute
)

// routes is the whole surface; openapi.yaml describes each.
var routes = []route{
	{"GET", "/healthz", false, 0, quick, (*call).health},
	{"GET", "/readyz", false, 0, quick, (*call).ready},
	{"GET", "/v1/openapi.yaml", false, 0, quick, (*call).openapi},

	{"GET", "/v1/upload-keys", true, 0, quick, (*call).uploadKeys},
	{"POST", "/v1/upload-keys/rotate", true, 0, quick, (*call).rotateUploadKeys},

	{"GET", "/v1/keys", true, 0, quick, (*call).keyState},
	{"POST", "/v1/keys/rewrap", true, maxJSON, slow, (*call).rewrap},
	{"POST", "/v1/keys/erasures", true, maxJSON, slow, (*call).beginErase},
	{"POST", "/v1/keys/erasures/:below/done", true, 0, quick, (*call).endErase},
	{"POST", "/v1/keys/:purpose/rotate", true, 0, slow, (*call).rotateKey},
	{"GET", "/v1/evidence-keys", true, 0, quick, (*call).evidenceKeys},

	{"POST", "/v1/accounts", true, maxJSON, quick, (*call).addAccount},
	{"GET", "/v1/accounts", true, 0, quick, (*call).listAccounts},
	{"DELETE", "/v1/accounts/:account", true, 0, quick, (*call).revokeAccount},

	{"POST", "/v1/patients", true, maxJSON, quick, (*call).createPatient},
	{"POST", "/v1/patients/find", true, maxJSON, quick, (*call).findPatient},
	{"GET", "/v1/patients/:patient", true, 0, quick, (*call).showPatient},

	{"GET", "/v1/patients/:patient/disclosures", true, 0, quick, (*call).disclosures},

	{"POST", "/v1/consents", true, maxJSON, quick, (*call).recordClinical},
	{"GET", "/v1/consents", true, 0, quick, (*call).listConsents},
	{"POST", "/v1/consents/:consent/revoke", true, maxJSON, quick, (*call).revoke},
	{"POST", "/v1/authorizations", true, maxJSON, quick, (*call).recordAuthorization},
	{"POST", "/v1/authorizations/:consent/revoke", true, maxJSON, quick, (*call).revoke},
	{"POST", "/v1/authorizations/:consent/expire", true, maxJSON, quick, (*call).expire},
	{"POST", "/v1/authorizations/:consent/false", true, maxJSON, quick, (*call).foundFalse},
	{"POST", "/v1/authorizations/:consent/copy", true, maxJSON, quick, (*call).copyGiven},

	{"POST", "/v1/patients/:patient/providers", true, maxJSON, quick, (*call).assign},
	{"POST", "/v1/patients/:patient/restrictions", true, maxJSON, quick, (*call).restrict},
	{"POST", "/v1/patients/:patient/emergencies", true, maxJSON, quick, (*call).emergency},
	{"POST", "/v1/events/:event/end", true, 0, quick, (*call).endEvent},
	{"GET", "/v1/reviews", true, 0, quick, (*call).reviews},
	{"POST", "/v1/reviews/:event", true, maxJSON, quick, (*call).reviewed},

	{"POST", "/v1/templates", true, maxJSON, quick, (*call).addTemplate},
	{"GET", "/v1/templates", true, 0, quick, (*call).listTemplates},
	{"POST", "/v1/patients/:patient/documents", true, MaxDocument, upload, (*call).addDocument},
	{"GET", "/v1/documents/:document", true, 0, quick, (*call).readDocument},

	{"POST", "/v1/campaigns", true, maxJSON, quick, (*call).addCampaign},
	{"GET", "/v1/campaigns", true, 0, quick, (*call).listCampaigns},
	{"POST", "/v1/campaigns/:campaign/close", true, 0, quick, (*call).closeCampaign},

	{"GET", "/v1/takedowns", true, 0, quick, (*call).listTakedowns},
	{"GET", "/v1/takedowns/:takedown", true, 0, quick, (*call).showTakedown},
	{"POST", "/v1/takedowns/:takedown/confirmations", true, maxJSON, quick, (*call).confirmTakedown},

	{"POST", "/v1/photos", true, maxJSON, quick, (*call).declarePhoto},
	{"GET", "/v1/photos", true, 0, quick, (*call).listPhotos},
	{"GET", "/v1/photos/:photo", true, 0, quick, (*call).showPhoto},
	{"GET", "/v1/photos/:photo/receipt", true, 0, quick, (*call).receipt},
	{"DELETE", "/v1/photos/:photo", true, 0, quick, (*call).deletePhoto},
	{"POST", "/v1/photos/:photo/mask", true, maxJSON, slow, (*call).maskPhoto},
	{"POST", "/v1/photos/:photo/comparison", true, maxJSON, slow, (*call).comparePhoto},
	{"POST", "/v1/photos/:photo/recognisability", true, maxJSON, quick, (*call).recognisePhoto},
	{"POST", "/v1/photos/:photo/decision", true, maxJSON, quick, (*call).explain},
	{"POST", "/v1/photos/:photo/tokens", true, maxJSON, quick, (*call).issueToken},

	{"OPTIONS", "/v1/uploads", false, 0, quick, (*call).tusOptions},
	{"POST", "/v1/uploads", true, maxUpload, upload, (*call).tusCreate},
	{"HEAD", "/v1/uploads/:upload", true, 0, quick, (*call).tusStatus},
	{"PATCH", "/v1/uploads/:upload", true, maxUpload, upload, (*call).tusAppend},
	{"DELETE", "/v1/uploads/:upload", true, 0, quick, (*call).tusCancel},
	{"POST", "/v1/uploads/:upload", true, maxUpload, upload, (*call).tusOverride},

	{"GET", "/v1/content", false, 0, quick, (*call).content},
	{"HEAD", "/v1/content", false, 0, quick, (*call).content},
	{"GET", "/v1/content/:token", false, 0, quick, (*call).contentInPath},
	{"HEAD", "/v1/content/:token", false, 0, quick, (*call).contentInPath},

	{"GET", "/v1/audit", true, 0, quick, (*call).audit},
	{"GET", "/v1/audit/patients/:patient", true, 0, quick, (*call).auditPatient},
}

//go:embed openapi.yaml
var openAPI []byte

// Routes lists method and path of every route, in OpenAPI's notation.
func Routes() [][2]string {
	var out [][2]string
	for _, r := range routes {
		out = append(out, [2]string{r.method, openAPIPath(r.path)})
	}
	return out
}

func openAPIPath(p string) string {
	out, in := []byte{}, false
	for i := range len(p) {
		switch c := p[i]; {
		case c == ':':
			out, in = append(out, '{'), true
		case c == '/' && in:
			out, in = append(out, '}', '/'), false
		default:
			out = append(out, c)
		}
	}
	if in {
		out = append(out, '}')
	}
	return string(out)
}
