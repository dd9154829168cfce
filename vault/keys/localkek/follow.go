package localkek

import (
	"fmt"
	"os"
	"time"

	"photovault/vault/keys"
)

// lookEvery is how soon a running service sees a changed key file.
const lookEvery = time.Second

// follow reads the key file again when another one is there. A file that is
// gone changes nothing: it may lie on a medium that was taken away. One that
// cannot be read stops the service, rather than letting it wrap under a key
// that was erased.
func (s *Service) follow() error {
	s.mu.RLock()
	due := s.keks != nil && time.Since(s.looked) >= lookEvery
	s.mu.RUnlock()
	if !due {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keks == nil || time.Since(s.looked) < lookEvery {
		return nil
	}
	info, err := os.Stat(s.path)
	if err != nil || os.SameFile(info, s.read) && info.ModTime().Equal(s.read.ModTime()) && info.Size() == s.read.Size() {
		s.looked = time.Now()
		return nil
	}
	f, info, err := read(s.path)
	if err != nil {
		return fmt.Errorf("%w: %w", keys.ErrUnavailable, err)
	}
	defer f.wipe()
	if (f.Pbkdf2 == nil) != (s.unlock == nil) {
		return fmt.Errorf("%w: %w: another file than the service was started with; start it again", keys.ErrUnavailable, ErrPassphrase)
	}
	all, err := f.openAll(s.path, s.unlock)
	if err != nil {
		return fmt.Errorf("%w: %w", keys.ErrUnavailable, err)
	}
	destroy(s.keks)
	s.keks, s.newest, s.read, s.looked = all, f.newest(), info, time.Now()
	return nil
}
