package wire

import "github.com/go-json-experiment/json/jsontext"

// A VerifySignatureRequest asks the till whether a signature matches (the
// contract, section 4.1).
type VerifySignatureRequest struct {
	Timeout float64 `json:"timeout"` // seconds
	TerminalID
	ReceiptLines                 MerchantCopy `json:"receiptLines"`
	AuthCode                     string       `json:"authCode"`
	ApplicationID                string       `json:"applicationId"`
	ApplicationLabel             string       `json:"applicationLabel"`
	CardholderVerificationMethod string       `json:"cardholderVerificationMethod"` // CVMSignature
	PaymentMethod                string       `json:"paymentMethod"`
	PrimaryAccountNumber         string       `json:"primaryAccountNumber"` // masked
	TransactionType              string       `json:"transactionType"`
}

// CVMSignature is the one verification method of the message.
const CVMSignature = "SIGNATURE"

// MerchantCopy is the receipt to be signed.
type MerchantCopy struct {
	Merchant []Line `json:"MERCHANT"`
}

func (r VerifySignatureRequest) in(v Version) any {
	r.TerminalID = r.TerminalID.in(v)
	return &r
}

// DecodeVerifySignature reads the gateway's question.
func DecodeVerifySignature(params jsontext.Value) (VerifySignatureRequest, error) {
	return decodeObject[VerifySignatureRequest]("a signature request", params)
}

// A VerifySignatureResponse is the till's answer.
type VerifySignatureResponse struct {
	Accepted bool `json:"accepted"`
}

func (r VerifySignatureResponse) in(Version) any { return &r }

// DecodeVerifySignatureResponse reads the result that a till sent. The words
// "true" and "false" are taken for the booleans, as a deviation.
func DecodeVerifySignatureResponse(result jsontext.Value) (accepted bool, devs []Deviation, fault *Fault) {
	o := openObject("/result", result)
	o.need("accepted")
	accepted = o.flagOrWord("accepted")
	if devs, fault = o.close(); fault != nil {
		return false, nil, fault
	}
	return accepted, devs, nil
}
