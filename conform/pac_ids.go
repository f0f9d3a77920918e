package conform

// pacIDs: the ids of requests are integers from 0 to 999999.
func pacIDs() Check {
	return Check{ID: "pac.ids", Needs: ByWire, Stands: func(frames []Frame) Verdict {
		first := -1
		for i, f := range frames {
			if f.Kind != Message || f.FromGateway {
				continue
			}
			m := read(f.Text)
			if m.method == "" {
				continue
			}
			if n, ok := whole(m.fields["id"]); !ok || n < 0 || n > 999_999 {
				return fail("the id of a request must be a whole number from 0 to 999999 without quotes, and is "+quoted(m.fields["id"]), i)
			}
			if first < 0 {
				first = i
			}
		}
		if first < 0 {
			return wait("no request came from the till")
		}
		return pass(first)
	}}
}
