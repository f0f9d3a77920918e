package epos

import (
	"context"
	"time"

	"github.com/tillwire/tillwire/jsonrpc"
	"github.com/tillwire/tillwire/receipt"
	"github.com/tillwire/tillwire/wire"
)

// A SignatureRequest asks the cashier whether the signature on the merchant's
// receipt matches the card (the contract, section 4.1).
type SignatureRequest struct {
	TID      TID
	Type     TransactionType
	Timeout  time.Duration  // without an answer by then the gateway decides: by the contract it accepts
	Merchant []receipt.Line // to be printed and signed

	AuthCode         string
	ApplicationID    string
	ApplicationLabel string
	PaymentMethod    PaymentMethod
	PAN              string // masked but for the last four
}

// maxSignatureSeconds keeps a nonsensical timeout from overflowing.
const maxSignatureSeconds = 3600

func signatureOf(r wire.VerifySignatureRequest) SignatureRequest {
	return SignatureRequest{
		TID:              TID(r.TID),
		Type:             TransactionType(r.TransactionType),
		Timeout:          time.Duration(min(max(r.Timeout, 0), maxSignatureSeconds) * float64(time.Second)),
		Merchant:         wire.ReceiptLines(r.ReceiptLines.Merchant),
		AuthCode:         r.AuthCode,
		ApplicationID:    r.ApplicationID,
		ApplicationLabel: r.ApplicationLabel,
		PaymentMethod:    PaymentMethod(r.PaymentMethod),
		PAN:              r.PrimaryAccountNumber,
	}
}

// serve answers what the gateway asks. It runs on a goroutine of its own.
func (c *Client) serve(_ context.Context, _ jsonrpc.ID, method string, params wire.Raw) (any, error) {
	if method != wire.MethodVerifySignature {
		return nil, &jsonrpc.Error{Code: jsonrpc.MethodNotFound, Message: "Method not found: " + method}
	}
	question, err := wire.DecodeVerifySignature(params)
	if err != nil {
		return nil, &jsonrpc.Error{Code: jsonrpc.InvalidParams, Message: "Invalid params: " + err.Error()}
	}
	r := signatureOf(question)
	t := c.on(r.TID)
	if t.handler.Signature == nil {
		return nil, jsonrpc.ErrNoAnswer
	}
	ctx, cancel := t.ctx, context.CancelFunc(func() {})
	if r.Timeout > 0 {
		ctx, cancel = context.WithTimeout(t.ctx, r.Timeout)
	}
	defer cancel()
	accept, err := t.handler.Signature(ctx, r)
	if err != nil || ctx.Err() != nil {
		return nil, jsonrpc.ErrNoAnswer
	}
	return wire.Encode(c.version, wire.VerifySignatureResponse{Accepted: accept}), nil
}
