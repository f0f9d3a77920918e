package conform

// A stay is what happens from the lock of a table to its next.
type stay struct {
	lock   *ask   // confirmed
	told   []*ask // payments; those that were told again as well
	unlock *ask   // nil while there is none
	next   *ask   // the first lock that was asked for after the unlock; nil for none
}

// stays finds the stays at a table.
func stays(all []*ask, table string) []*stay {
	var out []*stay
	var s *stay
	for _, a := range about(all, table) {
		switch {
		case a.method == "tableLockRequest":
			if s != nil && s.unlock != nil && s.next == nil {
				s.next = a
			}
			if a.confirmed() && (s == nil || s.unlock != nil) {
				s = &stay{lock: a}
				out = append(out, s)
			}
		case s == nil:
		case a.method == "transactionResponse":
			s.told = append(s.told, a)
		case a.method == "tableUnlock" && a.tid() == s.lock.tid():
			s.unlock = a
		}
	}
	return out
}

// payments are those of a table, each once.
func payments(all []*ask, table string) []taken {
	var out []taken
	known := map[string]bool{}
	for _, a := range by(about(all, table), "transactionResponse") {
		for _, p := range a.payments() {
			if !known[p.id] {
				known[p.id] = true
				out = append(out, p)
			}
		}
	}
	return out
}

// paid is what was paid towards the bill, each payment once.
func (s *stay) paid() (sum int64) {
	for _, p := range payments(s.told, s.lock.table()) {
		sum += p.paid
	}
	return sum
}

func (s *stay) gratuity() (sum int64) {
	for _, p := range payments(s.told, s.lock.table()) {
		sum += p.gratuity
	}
	return sum
}

// left is what is left to pay.
func (s *stay) left() int64 { return s.lock.due() - s.paid() }
