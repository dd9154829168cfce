package vault

// Recheck asks for a re-check of running deliveries now.
func (s *Service) Recheck() { s.streams.recheck() }
