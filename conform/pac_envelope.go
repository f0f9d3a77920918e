package conform

import "github.com/tillwire/tillwire/spec"

// pacEnvelope: each message of the till is one JSON-RPC object with a method of
// the contract, or an answer.
func pacEnvelope() Check {
	return Check{ID: "pac.envelope", Needs: ByWire, Stands: func(frames []Frame) Verdict {
		first := -1
		for i, f := range frames {
			if f.Kind != Message || f.FromGateway {
				continue
			}
			m := read(f.Text)
			_, hasParams := m.fields["params"]
			switch {
			case !m.valid:
				return fail("the message is not one JSON object: send each request by itself, without an array around it", i)
			case text1(m.fields["jsonrpc"]) != "2.0":
				return fail(`jsonrpc must be "2.0" in every message, and is `+quoted(m.fields["jsonrpc"]), i)
			case m.method == "" && m.fields["method"] != nil:
				return fail("method must be a text, and is "+quoted(m.fields["method"]), i)
			case m.method != "" && !known(m.method):
				return fail("there is no method "+quoted(m.fields["method"])+": the method is the type of the transaction, in this spelling: sale, refund, preAuth, completion, accountVerification", i)
			case hasParams && m.params == nil:
				return fail("params must be an object with named members, and is "+quoted(m.fields["params"]), i)
			case first < 0:
				first = i
			}
		}
		if first < 0 {
			return wait("no message came from the till")
		}
		return pass(first)
	}}
}

// known reports whether a till may call the method at the counter.
func known(method string) bool {
	for _, version := range []string{spec.V1, spec.V0} {
		if _, ok := spec.Default().ByMethod(spec.PAC, version, method); ok {
			return true
		}
	}
	return method == "transactionStatus" // of an extension
}
