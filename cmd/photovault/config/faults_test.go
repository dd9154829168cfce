package config_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"photovault/cmd/photovault/config"
)

// found are the settings and codes of faults, without lines and sentences.
func found(faults config.Faults) (all []string) {
	for _, f := range faults {
		all = append(all, f.Path+" "+string(f.Code))
	}
	slices.Sort(all)
	return all
}

// One thing is wrong, in the text alone: exactly that is found, at its line.
func TestFaultsOfTheText(t *testing.T) {
	for name, c := range map[string]struct {
		old, with string // in the example of production mode; HERE is where its files are
		want      string // path and code
		at        string // a text on the fault's line; empty: where the change is
	}{
		"unknown setting":                  {"worker_memory: 768", "worker_memory: 768\n  colour: red", "server.colour unknown_setting", "colour"},
		"slip of the hand":                 {"  region: eu", "  regoin: x\n    region: eu", "objects.s3.regoin unknown_setting", "regoin"},
		"unknown group":                    {"catalog:", "metrics: {listen: x}\ncatalog:", "metrics unknown_setting", "metrics"},
		"a name that may be a secret":      {"worker_memory: 768", "worker_memory: 768\n  Tr0ub4dor: 1", "server unknown_setting", "Tr0ub4dor"},
		"twice":                            {"worker_memory: 768", "worker_memory: 768\n  worker_memory: 512", "server.worker_memory duplicate", "worker_memory: 512"},
		"text for a number":                {"worker_memory: 768", "worker_memory: much", "server.worker_memory wrong_kind", ""},
		"a fraction for a number":          {"worker_memory: 768", "worker_memory: 2.5", "server.worker_memory wrong_kind", ""},
		"a number too large to be one":     {"worker_memory: 768", "worker_memory: 99999999999999999999", "server.worker_memory wrong_kind", ""},
		"text for yes or no":               {"wrapped: false", "wrapped: perhaps", "keys.transit.approle.wrapped wrong_kind", ""},
		"duration without unit":            {"timeout: 3s", "timeout: 3", "keys.transit.timeout wrong_kind", ""},
		"list for text":                    {"bucket: clinic-photos", "bucket: [a, b]", "objects.s3.bucket wrong_kind", ""},
		"text for a list":                  {"frame_ancestors: []", "frame_ancestors: https://emr.example", "server.frame_ancestors wrong_kind", ""},
		"anchor":                           {"bucket: clinic-photos", "bucket: &b clinic-photos", "objects.s3.bucket wrong_kind", ""},
		"yes for text":                     {"bucket: clinic-photos", "bucket: true", "objects.s3.bucket wrong_kind", ""},
		"no practice":                      {"practice: ", "practice: # ", "practice missing", "practice:"},
		"practice is no UUID":              {"practice: ", "practice: clinic-", "practice invalid", "practice:"},
		"listen without a port":            {"listen: 0.0.0.0:8443", "listen: 0.0.0.0", "server.listen invalid", ""},
		"listen on a name":                 {"listen: 0.0.0.0:8443", "listen: vault.clinic.example:8443", "server.listen invalid", ""},
		"listen on a port that is none":    {"listen: 0.0.0.0:8443", "listen: 0.0.0.0:70000", "server.listen invalid", ""},
		"listen nowhere":                   {"listen: 0.0.0.0:8443", "listen: \"\"", "server.listen missing", ""},
		"no TLS for clients":               {"url: https://vault", "url: http://vault", "server.url plain_text", ""},
		"url with a path":                  {"url: https://vault.clinic.example", "url: https://vault.clinic.example/photos", "server.url invalid", ""},
		"no TLS on any address":            {"certificate: HERE", "certificate: # HERE", "server.certificate missing", "certificate: #"},
		"no key":                           {"key: HERE", "key: # HERE", "server.key missing", "key: #"},
		"frame ancestor without TLS":       {"frame_ancestors: []", "frame_ancestors: [http://emr.example]", "server.frame_ancestors plain_text", ""},
		"frame ancestor that is everybody": {"frame_ancestors: []", "frame_ancestors: [\"https://*\"]", "server.frame_ancestors invalid", ""},
		"less than one worker takes":       {"worker_memory: 768", "worker_memory: 127", "server.worker_memory invalid", ""},
		"swap declared as something else":  {"swap: none", "swap: fine", "swap invalid", ""},
		"no checkpoint":                    {"checkpoint: HERE", "checkpoint: # HERE", "checkpoint missing", "checkpoint:"},
		"plain-text transit":               {"address: https://", "address: http://", "keys.transit.address plain_text", ""},
		"transit nowhere":                  {"address: https://transit.clinic.example:8200", "address:", "keys.transit.address missing", ""},
		"password in transit's address":    {"address: https://transit", "address: https://me:hunter2@transit", "keys.transit.address invalid", ""},
		"mount that is none":               {"mount: transit\n", "mount: tran sit\n", "keys.transit.mount invalid", "mount: tran"},
		"key name that is none":            {"key: photovault", "key: photo/vault", "keys.transit.key invalid", ""},
		"namespace that is none":           {"namespace: \"\"", "namespace: a//b", "keys.transit.namespace invalid", ""},
		"server name with a port":          {"server_name: \"\"", "server_name: transit:8200", "keys.transit.server_name invalid", ""},
		"timeout of an hour":               {"timeout: 3s", "timeout: 1h", "keys.transit.timeout invalid", ""},
		"two credentials for transit":      {"token_file: \"\"", "token_file: HERE/secret-id2", "keys.transit choose_one", "transit:\n"},
		"no role id":                       {"role_id: 0", "role_id: # 0", "keys.transit.approle.role_id missing", "role_id: #"},
		"no secret id":                     {"secret_id_file: HERE", "secret_id_file: # HERE", "keys.transit.approle.secret_id_file missing", "secret_id_file: #"},
		"plain-text object store":          {"endpoint: https://", "endpoint: http://", "objects.s3.endpoint plain_text", ""},
		"endpoint with a bucket":           {"amazonaws.com", "amazonaws.com/bucket", "objects.s3.endpoint invalid", ""},
		"no region":                        {"    region: eu", "    region: # eu", "objects.s3.region missing", "region: #"},
		"region with a slash":              {"    region: eu", "    region: eu/", "objects.s3.region invalid", "region: eu/"},
		"bucket with a dot":                {"bucket: clinic-photos", "bucket: clinic.photos", "objects.s3.bucket invalid", ""},
		"prefix out of the bucket":         {"prefix: \"\"", "prefix: ../x", "objects.s3.prefix invalid", ""},
		"retention of minus one day":       {"retention_days: 0", "retention_days: -1", "objects.s3.retention_days invalid", ""},
		"retention of a thousand years":    {"retention_days: 0", "retention_days: 365000", "objects.s3.retention_days invalid", ""},
		"compliance over nothing":          {"lock_mode: GOVERNANCE", "lock_mode: COMPLIANCE", "objects.s3.lock_mode invalid", ""},
		"lock mode that is none":           {"lock_mode: GOVERNANCE", "lock_mode: governance", "objects.s3.lock_mode invalid", ""},
		"encryption that is none":          {"encryption: \"\"", "encryption: aes", "objects.s3.encryption invalid", ""},
		"KMS key without KMS":              {"kms_key: \"\"", "kms_key: k", "objects.s3.kms_key invalid", ""},
		"store that may be silent for 1 h": {"timeout: 5s", "timeout: 1h", "objects.s3.timeout invalid", ""},
		"no credentials for the bucket":    {"credentials_file: HERE", "credentials_file: # HERE", "objects.s3.credentials_file missing", "credentials_file: #"},
		"sslmode":                          {"port: 5432", "port: 5432\n    sslmode: require", "catalog.postgres.sslmode plain_text", "sslmode"},
		"switch for unverified TLS":        {"virtual_host: false", "virtual_host: false\n    insecure_skip_verify: true", "objects.s3.insecure_skip_verify plain_text", "insecure"},
		"socket instead of a host":         {"host: db.clinic.example", "host: /run/postgresql", "catalog.postgres.host invalid", ""},
		"connection string as host":        {"host: db.clinic.example", "host: postgres://u:hunter2@db", "catalog.postgres.host invalid", ""},
		"no host":                          {"host: db.clinic.example", "host:", "catalog.postgres.host missing", ""},
		"port that is none":                {"port: 5432", "port: 70000", "catalog.postgres.port invalid", ""},
		"no database":                      {"database: photovault", "database: \"\"", "catalog.postgres.database missing", ""},
		"options in the user":              {"user: photovault", "user: photovault sslmode=disable", "catalog.postgres.user invalid", ""},
		"one connection":                   {"connections: 20", "connections: 1", "catalog.postgres.connections invalid", ""},
		"no password":                      {"password_file: HERE", "password_file: # HERE", "catalog.postgres.password_file missing", "password_file: #"},
		"password in the file":             {"user: photovault", "user: photovault\n    password: hunter2", "catalog.postgres.password secret_in_file", "hunter2"},
		"secret key in the file":           {"bucket: clinic-photos", "bucket: clinic-photos\n    secret_key: hunter2", "objects.s3.secret_key secret_in_file", "hunter2"},
		"secret id in the file":            {"wrapped: false", "wrapped: false\n      secret_id: hunter2", "keys.transit.approle.secret_id secret_in_file", "hunter2"},
		"token in the file":                {"mount: transit\n", "mount: transit\n    token: hunter2\n", "keys.transit.token secret_in_file", "hunter2"},
		"a takedown due at once":           {"takedown_due: 72h", "takedown_due: 1m", "takedown_due invalid", ""},
		"receiver nowhere":                 {"server_name: \"\"\n    # What messages", "server_name: receiver.example\n    # What messages", "notify.marketing.url missing", "url: \"\"\n    # PEM"},
		"receiver without a secret":        {"url: \"\"\n    # PEM", "url: https://receiver.example/x\n    # PEM", "notify.marketing.secret_file missing", "secret_file: \"\""},
		"a receiver that may take an hour": {"timeout: 10s", "timeout: 1h", "notify.marketing.timeout invalid", ""},
		"signing secret in the file":       {"timeout: 10s", "timeout: 10s\n    secret: hunter2", "notify.marketing.secret secret_in_file", "hunter2"},
		"token in the wrong place":         {"namespace: \"\"", "namespace: hvs.hunter2", "keys.transit.namespace secret_in_file", ""},
		"secret for a file's name":         {"password_file: HERE", "password_file: hunter2 # HERE", "catalog.postgres.password_file relative_path", "hunter2"},
		"relative path":                    {"checkpoint: HERE", "checkpoint: checkpoint.json # HERE", "checkpoint relative_path", "checkpoint: c"},
		"variable in a path":               {"checkpoint: HERE", "checkpoint: /srv/$HOME", "checkpoint relative_path", "$HOME"},
		"credential outside of a unit":     {"password_file: HERE", "password_file: $CREDENTIALS_DIRECTORY/x # HERE", "catalog.postgres.password_file no_credentials", "$CRED"},
		"two key services":                 {"objects:\n", "# x\n  local: {file: HERE/keys/kek.json}\nobjects:\n", "keys choose_one", "keys:\n"},
		"two object stores":                {"catalog:\n", "# x\n  directory: HERE/data/objects\ncatalog:\n", "objects choose_one", "objects:\n"},
		"two secrets in one file":          {"password_file: HERE/db-password", "password_file: HERE/secret-id", "keys.transit.approle.secret_id_file same_path", "secret_id_file:"},
		"checkpoint over the credentials":  {"checkpoint: HERE/checkpoint.json", "checkpoint: HERE/s3.json", "objects.s3.credentials_file same_path", "credentials_file:"},
	} {
		t.Run(name, func(t *testing.T) {
			p := placed(t, config.Production)
			p.file("secret-id2", 0o600, "x\n")
			old, with := strings.ReplaceAll(c.old, "HERE", p.folder), strings.ReplaceAll(c.with, "HERE", p.folder)
			line := p.lineOf(old)
			p.replace(old, with)
			if before, _, inside := strings.Cut(with, c.at); inside {
				line += strings.Count(before, "\n")
			} else {
				line = p.lineOf(c.at)
			}
			_, faults := p.load()
			if diff := cmp.Diff([]string{c.want}, found(faults)); diff != "" {
				t.Fatalf("%s\n%v", diff, faults)
			}
			if faults[0].Line != line {
				t.Errorf("line %d, want %d: %v", faults[0].Line, line, faults)
			}
			for _, secret := range []string{"hunter2", "Tr0ub4dor"} {
				if strings.Contains(faults.Error(), secret) {
					t.Errorf("shows a secret: %v", faults)
				}
			}
		})
	}
}

func TestFaultsOfTheFileItself(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"empty":                  {"", " missing"},
		"only a comment":         {"# nothing\n", " missing"},
		"no YAML":                {"practice: [\n", " not_yaml"},
		"tabs":                   {"server:\n\tlisten: x\n", " not_yaml"},
		"text":                   {"hello", " wrong_kind"},
		"a list":                 {"- a\n", " wrong_kind"},
		"text for a group":       {"server: 127.0.0.1:8443\n", "server wrong_kind"},
		"larger than any":        {"#" + strings.Repeat("x", config.MaxSize), " too_large"},
		"two documents":          {"a: 1\n---\nb: 1\n", " not_yaml"},
		"an alias to everything": {"a: &a [x]\nb: *a\n", "a unknown_setting"},
	} {
		t.Run(name, func(t *testing.T) {
			p := placed(t, config.Production)
			p.text = c.text
			_, faults := p.load()
			if !slices.Contains(found(faults), c.want) {
				t.Errorf("want %q in %v", c.want, faults)
			}
		})
	}
	t.Run("not there", func(t *testing.T) {
		_, err := config.LoadOn(t.TempDir()+"/none.yaml", nil, host())
		if err == nil || !strings.Contains(err.Error(), "photovault config example") {
			t.Error(err)
		}
	})
	t.Run("others can change it", func(t *testing.T) {
		p := placed(t, config.Production)
		p.file("config.yaml", 0o666, p.text)
		_, err := config.LoadOn(p.in("config.yaml"), nil, host())
		if err == nil || !strings.Contains(err.Error(), "chmod go-w") {
			t.Error(err)
		}
	})
	t.Run("a folder", func(t *testing.T) {
		if _, err := config.LoadOn(t.TempDir(), nil, host()); err == nil {
			t.Error("was read")
		}
	})
}

// Ten things are wrong, of ten kinds; all ten are found at once.
func TestAllFaultsAreFoundAtOnce(t *testing.T) {
	p := placed(t, config.Production)
	p.replace("worker_memory: 768", "worker_memory: much")
	p.replace("url: https://", "url: http://")
	p.replace("swap: none", "swap: no\nswop: none")
	p.replace("address: https://", "address: http://")
	p.replace("region: eu-central-1", "region:")
	p.replace("retention_days: 0", "retention_days: -3")
	p.replace("user: photovault", "user: photovault\n    password: hunter2")
	p.file("s3.json", 0o644, `{"access_key": "a", "secret_key": "hunter2hunter2hunter2"}`)
	if err := os.Remove(p.in("db-ca.pem")); err != nil {
		t.Fatal(err)
	}
	_, faults := p.load()
	want := []string{"catalog.postgres.ca unreadable", "catalog.postgres.password secret_in_file", "keys.transit.address plain_text",
		"objects.s3.credentials_file not_private", "objects.s3.region missing", "objects.s3.retention_days invalid", "server.url plain_text",
		"server.worker_memory wrong_kind", "swap invalid", "swop unknown_setting"}
	if diff := cmp.Diff(want, found(faults)); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(faults.Error(), "hunter2") {
		t.Error("a secret is shown")
	}
	if !slices.IsSortedFunc(faults, func(a, b config.Fault) int { return a.Line - b.Line }) {
		t.Errorf("not in the order of the file: %v", faults)
	}
}

func TestFaultsAreJSONForMachines(t *testing.T) {
	p := placed(t, config.Production)
	p.replace("swap: none", "swap: perhaps")
	_, faults := p.load()
	b, err := json.Marshal(faults)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`[{"path":"swap","line":%d,"code":"invalid","sentence":"write none or encrypted"}]`, p.lineOf("swap: perhaps"))
	if diff := cmp.Diff(want, string(b)); diff != "" {
		t.Error(diff)
	}
}
