package transit

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/hashicorp/vault/api"
)

// grant is a token and how long it is good for.
type grant struct {
	token     string
	ttl       time.Duration // 0: it does not end by itself
	renewable bool
	own       bool // made by our login: ours to revoke
}

// source is where tokens come from. It is used by one goroutine.
type source interface {
	// login returns a token that the server takes. Errors: *failure
	// (transient), else ErrConfiguration.
	login(ctx context.Context) (grant, error)
	// changed reports whether login would try another credential than last time.
	changed() bool
}

func newSource(o Options, c *api.Client) source {
	switch {
	case o.AppRole != nil:
		return &appRole{AppRole: *o.AppRole, client: c}
	case o.TokenFile != "":
		return &tokenFile{path: o.TokenFile, client: c}
	default:
		return &givenToken{token: o.Token, client: c}
	}
}

// appRole logs in anew each time.
type appRole struct {
	AppRole
	client   *api.Client
	read     string // what the file held at the last login
	secretID string // where it is response-wrapped
}

func (a *appRole) login(ctx context.Context) (grant, error) {
	secretID, err := readSecret(a.SecretIDFile)
	if err != nil {
		return grant{}, err
	}
	held := secretID
	if a.Wrapped {
		if secretID, err = a.unwrap(ctx, held); err != nil {
			return grant{}, err
		}
	}
	a.read = held
	a.client.ClearToken()
	answer, err := a.client.Logical().WriteWithContext(ctx, "auth/"+a.Mount+"/login",
		map[string]any{"role_id": a.RoleID, "secret_id": secretID})
	if err != nil {
		return grant{}, loginFailure(ctx, "login by AppRole", "auth/"+a.Mount+"/login", err,
			"the AppRole or its secret id is not taken: make a new one (vault write -f auth/"+a.Mount+"/role/NAME/secret-id) and put it into the file")
	}
	if answer == nil || answer.Auth == nil || answer.Auth.ClientToken == "" {
		return grant{}, Faults{"the login by AppRole gives no token: is multi-factor login set for it?"}
	}
	return grant{token: answer.Auth.ClientToken, ttl: seconds(answer.Auth.LeaseDuration), renewable: answer.Auth.Renewable, own: true}, nil
}

// unwrap opens the wrapping token once and keeps the secret id for later
// logins. A token that does not open may have been opened by a thief.
func (a *appRole) unwrap(ctx context.Context, token string) (string, error) {
	if a.secretID != "" && a.read == token {
		return a.secretID, nil
	}
	a.client.SetToken(token)
	defer a.client.ClearToken()
	answer, err := a.client.Logical().UnwrapWithContext(ctx, "")
	if err != nil {
		return "", loginFailure(ctx, "unwrap the secret id", "sys/wrapping/unwrap", err,
			"the wrapping token does not open: it has ended, or was opened already, which may be a theft: revoke the secret id, wrap a new one")
	}
	if answer == nil {
		return "", Faults{"the wrapping token holds nothing"}
	}
	id, ok := answer.Data["secret_id"].(string)
	if !ok || id == "" {
		return "", Faults{"the wrapping token holds no secret id"}
	}
	a.read, a.secretID = token, id
	return id, nil
}

func (a *appRole) changed() bool { return changed(a.SecretIDFile, a.read) }

// tokenFile takes the token that somebody else keeps alive in a file.
type tokenFile struct {
	path   string
	client *api.Client
	read   string
}

func (f *tokenFile) login(ctx context.Context) (grant, error) {
	token, err := readSecret(f.path)
	if err != nil {
		return grant{}, err
	}
	f.read = token
	return lookup(ctx, f.client, token)
}

func (f *tokenFile) changed() bool { return changed(f.path, f.read) }

func changed(path, before string) bool {
	now, err := readSecret(path)
	return err == nil && now != before
}

// givenToken is one token for the life of the process.
type givenToken struct {
	token  string
	client *api.Client
}

func (g *givenToken) login(ctx context.Context) (grant, error) { return lookup(ctx, g.client, g.token) }
func (g *givenToken) changed() bool                            { return false }

// lookup asks the server about a token.
func lookup(ctx context.Context, c *api.Client, token string) (grant, error) {
	c.SetToken(token)
	defer c.ClearToken()
	answer, err := c.Auth().Token().LookupSelfWithContext(ctx)
	if err != nil {
		return grant{}, loginFailure(ctx, "look the token up", "auth/token/lookup-self", err, "the token is not taken: it has ended or was revoked")
	}
	if answer == nil {
		return grant{}, Faults{"the server knows nothing of the token"}
	}
	ttl, ok := answer.Data["ttl"].(json.Number)
	if !ok {
		return grant{}, Faults{"the server does not say how long the token lasts"}
	}
	n, err := ttl.Int64()
	if err != nil {
		return grant{}, Faults{"the server does not say how long the token lasts"}
	}
	g := grant{token: token, ttl: time.Duration(n) * time.Second}
	if g.ttl == 0 && answer.Data["expire_time"] != nil { // in its last second; 0 alone means that it never ends
		g.ttl = time.Second / 2
	}
	return g, nil
}

// renew extends the token of a grant. left is 0 where nothing is left.
func renew(ctx context.Context, c *api.Client, g grant) (left time.Duration, err error) {
	answer, err := c.Auth().Token().RenewTokenAsSelfWithContext(ctx, g.token, 0)
	if err != nil {
		return 0, loginFailure(ctx, "renew the token", "auth/token/renew-self", err, "the token is not renewed: it has ended or was revoked")
	}
	if answer == nil || answer.Auth == nil {
		return 0, Faults{"the server renews no token"}
	}
	return seconds(answer.Auth.LeaseDuration), nil
}

// loginFailure tells what may pass by itself from what does not.
func loginFailure(ctx context.Context, call, path string, err error, denied string) error {
	if ctx.Err() != nil {
		return cancelled(call, ctx)
	}
	f := explain(call, path, err)
	switch f.status {
	case 400, 403:
		var answer *api.ResponseError
		if errors.As(err, &answer) && answer.RawError {
			return f
		}
		return Faults{denied}
	case 404:
		return Faults{f.text}
	}
	return f
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

var errNoToken = errors.New("not logged in yet")
