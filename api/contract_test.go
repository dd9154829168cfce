package api_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"photovault/api"
)

// document is openapi.yaml, made strict: in tests an answer must not hold a
// field that is not described, while clients are told to expect new ones.
type document struct {
	*openapi3.T
	router routers.Router
	every  map[string]string // headers of every answer
}

var theDocument = sync.OnceValues(func() (*document, error) {
	raw, err := os.ReadFile("openapi.yaml")
	if err != nil {
		return nil, err
	}
	doc, err := openapi3.NewLoader().LoadFromData(raw)
	if err != nil {
		return nil, err
	}
	if err := doc.Validate(context.Background()); err != nil {
		return nil, err
	}
	seen := map[*openapi3.Schema]bool{}
	for _, s := range doc.Components.Schemas {
		tighten(s, seen)
	}
	d := &document{T: doc, every: map[string]string{}}
	for k, v := range doc.Extensions["x-every-answer"].(map[string]any) {
		d.every[k] = v.(string)
	}
	sealed := func(io.Reader, http.Header, *openapi3.SchemaRef, openapi3filter.EncodingFn) (any, error) {
		return "", nil
	}
	for _, opaque := range []string{"application/offset+octet-stream", "application/pdf", "image/png"} {
		openapi3filter.RegisterBodyDecoder(opaque, sealed)
	}
	d.router, err = legacy.NewRouter(doc)
	return d, err
})

// tighten forbids what an object's schema does not name.
func tighten(ref *openapi3.SchemaRef, seen map[*openapi3.Schema]bool) {
	if ref == nil || ref.Value == nil || seen[ref.Value] {
		return
	}
	s := ref.Value
	seen[s] = true
	if len(s.Properties) > 0 && s.AdditionalProperties.Has == nil {
		no := false
		s.AdditionalProperties.Has = &no
	}
	for _, p := range s.Properties {
		tighten(p, seen)
	}
	tighten(s.Items, seen)
}

// contract holds exchanges against the document.
type contract struct {
	s   *stack
	doc *document
}

func newContract(s *stack) *contract {
	s.Helper()
	doc, err := theDocument()
	s.must(err)
	return &contract{s, doc}
}

func (c *contract) over(next http.RoundTripper) http.RoundTripper { return &checker{c, next} }

type checker struct {
	*contract
	next http.RoundTripper
}

// RoundTrip checks the request unless it is marked odd, the answer always, and
// that nothing odd is answered as if it were well.
func (c *checker) RoundTrip(r *http.Request) (*http.Response, error) {
	var sent []byte
	if r.Body != nil {
		var err error
		if sent, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		_ = r.Body.Close()
	}
	forward := r.Clone(r.Context())
	if r.Body != nil {
		forward.Body = io.NopCloser(bytes.NewReader(sent))
	}
	res, err := c.next.RoundTrip(forward)
	if err != nil {
		return nil, err
	}
	got, err := io.ReadAll(res.Body)
	if err != nil { // cut: the test sees it
		res.Body = io.NopCloser(io.MultiReader(bytes.NewReader(got), broken{err}))
		return res, nil
	}
	_ = res.Body.Close()
	res.Body = io.NopCloser(bytes.NewReader(got))
	c.check(r, sent, res, got)
	return res, nil
}

type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

func (c *contract) check(r *http.Request, sent []byte, res *http.Response, got []byte) {
	what := fmt.Sprintf("%s %s → %d", r.Method, r.URL.Path, res.StatusCode)
	c.everyAnswer(what, r, res)
	route, params, err := c.doc.router.FindRoute(inSpec(r, sent))
	if err != nil {
		if res.StatusCode != 404 && res.StatusCode != 405 && res.StatusCode != 400 {
			c.s.Errorf("%s: the document has no such operation: %v", what, err)
		}
		c.problem(what, got)
		return
	}
	coverage.note(r.Method, route.Path, res.StatusCode)
	options := &openapi3filter.Options{IncludeResponseStatus: true, RejectWhenRequestBodyNotSpecified: true,
		SkipSettingDefaults: true, AuthenticationFunc: authenticated,
		ExcludeResponseBody: r.Method == http.MethodHead || strings.HasPrefix(res.Header.Get("Content-Type"), "image/")}
	request := &openapi3filter.RequestValidationInput{Request: inSpec(r, sent), PathParams: params, Route: route, Options: options}
	isOdd := r.Context().Value(oddKey{}) != nil
	if err := openapi3filter.ValidateRequest(context.Background(), request); err != nil && !isOdd {
		c.s.Errorf("%s: the request does not fit the document: %v", what, err)
	}
	asGet := *request // a HEAD is not looked at otherwise
	asGet.Request = asGet.Request.Clone(context.Background())
	asGet.Request.Method = http.MethodGet
	response := &openapi3filter.ResponseValidationInput{RequestValidationInput: &asGet, Status: res.StatusCode, Header: res.Header,
		Body: io.NopCloser(bytes.NewReader(got)), Options: options}
	if err := openapi3filter.ValidateResponse(context.Background(), response); err != nil {
		c.s.Errorf("%s: the answer does not fit the document: %v\n%.2000s", what, err, got)
	}
	described := route.Operation.Responses.Status(res.StatusCode)
	switch {
	case described == nil:
	case len(described.Value.Content) == 0 && (len(got) > 0 || res.Header.Get("Content-Type") != "" && r.Method != http.MethodHead):
		c.s.Errorf("%s: an answer that the document says has no body has %d bytes of %q", what, len(got), res.Header.Get("Content-Type"))
	case len(described.Value.Content) > 0 && described.Value.Content.Get(res.Header.Get("Content-Type")) == nil:
		c.s.Errorf("%s: Content-Type %q is not in the document", what, res.Header.Get("Content-Type"))
	}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "application/problem") && r.Method != http.MethodHead {
		c.problem(what, got)
	}
}

// inSpec is the request as the validator may have it.
func inSpec(r *http.Request, body []byte) *http.Request {
	v := r.Clone(context.Background())
	v.URL.Scheme, v.URL.Host, v.Host = "", "", ""
	v.Body = http.NoBody
	if body != nil {
		v.Body = io.NopCloser(bytes.NewReader(body))
	}
	return v
}

// authenticated wants the credential that the operation's scheme names.
func authenticated(_ context.Context, in *openapi3filter.AuthenticationInput) error {
	h := in.RequestValidationInput.Request.Header.Get("Authorization")
	prefixes := map[string][]string{"bearer": {"Bearer pvc_", "Bearer pvg_"}, "retrieval": {"Bearer pvt_"}}[in.SecuritySchemeName]
	if !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(h, p) }) {
		return errors.New("no credential of scheme " + in.SecuritySchemeName)
	}
	return nil
}

// everyAnswer checks what no answer may lack (THREATS 12).
func (c *contract) everyAnswer(what string, r *http.Request, res *http.Response) {
	for k, want := range c.doc.every {
		if k == "Content-Security-Policy" && len(c.s.frameAncestors) > 0 {
			want = strings.Replace(want, "'none'", strings.Join(c.s.frameAncestors, " "), 2)
			want = strings.Replace(want, "default-src "+strings.Join(c.s.frameAncestors, " "), "default-src 'none'", 1)
		}
		if k == "Cross-Origin-Resource-Policy" && len(c.s.frameAncestors) > 0 && strings.HasPrefix(r.URL.Path, "/v1/content") && (res.StatusCode == 200 || res.StatusCode == 206) {
			want = "cross-origin"
		}
		if got := res.Header.Values(k); len(got) != 1 || got[0] != want {
			c.s.Errorf("%s: header %s is %q, %q wanted", what, k, got, want)
		}
	}
	for _, k := range []string{"Server", "X-Powered-By", "Set-Cookie", "Access-Control-Allow-Origin"} {
		if v := res.Header.Get(k); v != "" {
			c.s.Errorf("%s: header %s is %q, none wanted", what, k, v)
		}
	}
	if strings.HasPrefix(r.URL.Path, "/v1/uploads") && res.Header.Get("Tus-Resumable") != "1.0.0" {
		c.s.Errorf("%s: Tus-Resumable is %q", what, res.Header.Get("Tus-Resumable"))
	}
}

// problem checks an error's body against its schema.
func (c *contract) problem(what string, got []byte) {
	if len(got) == 0 {
		return
	}
	var v any
	if err := json.Unmarshal(got, &v); err != nil {
		c.s.Errorf("%s: not a problem: %v: %.200s", what, err, got)
		return
	}
	schema := c.doc.Components.Schemas["Problem"].Value
	if err := schema.VisitJSON(v, openapi3.EnableJSONSchema2020(), openapi3.VisitAsResponse()); err != nil {
		c.s.Errorf("%s: not a problem: %v: %.500s", what, err, got)
	}
	p := v.(map[string]any)
	if p["type"] != "urn:photovault:problem:"+p["code"].(string) {
		c.s.Errorf("%s: type %v beside code %v", what, p["type"], p["code"])
	}
}

// covered is which statuses of which operations the tests of this run saw.
type covered struct {
	mu   sync.Mutex
	seen map[[2]string]map[int]int
}

var coverage = covered{seen: map[[2]string]map[int]int{}}

func (c *covered) note(method, path string, status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := [2]string{method, path}
	if c.seen[k] == nil {
		c.seen[k] = map[int]int{}
	}
	c.seen[k][status]++
}

// complete wants every operation and each of its successes seen, and lists the
// error statuses that were not.
func (c *covered) complete(out io.Writer) error {
	doc, err := theDocument()
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var missing, errorsUnseen []string
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			for status := range op.Responses.Map() {
				n, err := strconv.Atoi(status)
				if err != nil || c.seen[[2]string{method, path}][n] > 0 {
					continue
				}
				line := fmt.Sprintf("%s %s %s", method, path, status)
				if n < 400 {
					missing = append(missing, line)
				} else {
					errorsUnseen = append(errorsUnseen, fmt.Sprintf("%s of %s %s", status, method, path))
				}
			}
		}
	}
	slices.Sort(errorsUnseen)
	if testing.Verbose() && len(errorsUnseen) > 0 {
		fmt.Fprintf(out, "documented errors that no test saw:\n  %s\n", strings.Join(errorsUnseen, "\n  "))
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return fmt.Errorf("documented, and no test saw it:\n  %s", strings.Join(missing, "\n  "))
	}
	return nil
}

func TestEveryRouteIsInTheDocumentAndTheOtherWayRound(t *testing.T) {
	doc, err := theDocument()
	if err != nil {
		t.Fatal(err)
	}
	var described, served []string
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			described = append(described, method+" "+path)
		}
	}
	for _, r := range api.Routes() {
		served = append(served, r[0]+" "+r[1])
	}
	slices.SortFunc(described, cmp.Compare)
	slices.SortFunc(served, cmp.Compare)
	for _, r := range served {
		if !slices.Contains(described, r) {
			t.Errorf("%s is served and not described", r)
		}
	}
	for _, r := range described {
		if !slices.Contains(served, r) {
			t.Errorf("%s is described and not served", r)
		}
	}
}

func TestTheDocumentIsServed(t *testing.T) {
	s := newStack(t)
	want, err := os.ReadFile("openapi.yaml")
	s.must(err)
	a := s.ask("GET", "/v1/openapi.yaml", "", nil).ok(200)
	if !bytes.Equal(a.body, want) {
		t.Error("what is served is another document")
	}
	s.ask("GET", "/healthz", "", nil).ok(200)
}

func TestAChangedAnswerWouldBeNoticed(t *testing.T) {
	doc, err := theDocument()
	if err != nil {
		t.Fatal(err)
	}
	visit := func(schema string, text string) error {
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		return doc.Components.Schemas[schema].Value.VisitJSON(v, openapi3.EnableJSONSchema2020(), openapi3.VisitAsResponse())
	}
	const good = `{"id":"0f9619ff-8b86-4011-b42d-00cf4fc964ff","record_number":"1","created_at":"2026-01-02T03:04:05Z"}`
	if err := visit("Patient", good); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"a field that is not described": strings.Replace(good, `"id"`, `"ssn":"1","id"`, 1),
		"a field that is missing":       strings.Replace(good, `"record_number":"1",`, ``, 1),
		"another type":                  strings.Replace(good, `"1"`, `1`, 1),
		"an id that is none":            strings.Replace(good, `4011`, `7011`, 1),
		"a time that is not in UTC":     strings.Replace(good, `05Z`, `05+01:00`, 1),
	} {
		if visit("Patient", text) == nil {
			t.Errorf("not noticed: %s", name)
		}
	}
}
