package docs

func (s *Site) asyncAPI() ([]byte, error) { return []byte("{}"), nil }
