package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The README's transcript is run as it stands: each command must print what
// the README says, where … stands for anything.
func TestReadmeTranscript(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(readme), "```console\n")
	block, _, end := strings.Cut(rest, "```")
	if !ok || !end {
		t.Fatal("README.md has no transcript")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "face.jpg"), generatedPhoto(t), 0o600); err != nil {
		t.Fatal(err)
	}
	binary, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(binary, filepath.Join(dir, "photovault")); err != nil {
		t.Fatal(err)
	}
	script := "trap 'kill $! && wait $!' EXIT\n"
	want := ""
	for i, line := range strings.Split(strings.TrimSuffix(block, "\n"), "\n") {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			mark := "@" + string(rune('a'+i%26)) + strings.Repeat("'", i/26)
			script += "echo \"" + mark + "\"\n" + command + "\n"
			want += regexp.QuoteMeta(mark) + "\n"
			continue
		}
		if line == "…" {
			want += "(?:[^@].*\n)*"
			continue
		}
		want += strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".*") + "\n"
	}
	cmd := exec.Command("bash", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PHOTOVAULT_TEST_MAIN=1", "PATH="+dir+":"+os.Getenv("PATH"), "PHOTOVAULT_HOME="+filepath.Join(dir, "vault"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Logf("bash: %v", err)
	}
	if !regexp.MustCompile(`\A` + want + `\z`).MatchString(strings.TrimSuffix(string(out), "\n") + "\n") {
		log, _ := os.ReadFile(filepath.Join(dir, "serve.log"))
		t.Fatalf("the transcript printed:\n%s\n\nthe service said:\n%s", out, log)
	}
}
