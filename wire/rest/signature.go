package rest

// DecodeSignature reads a till's answer to a signature (the contract of REST,
// section 4.3). There is no default: a body that says neither is a fault.
func DecodeSignature(body []byte) (accepted bool, devs []Deviation, fault *Fault) {
	o := openBody(body)
	o.need("accepted")
	accepted = o.flag("accepted")
	if devs, fault = o.close(); fault != nil {
		return false, nil, fault
	}
	return accepted, devs, nil
}

// A SignatureRequest is the body that a till sends.
type SignatureRequest struct{ Accepted bool }

// Append writes the request.
func (r SignatureRequest) Append(dst []byte) []byte {
	return append(appendBool(append(dst, `{"accepted":`...), r.Accepted), '}')
}
