package jsonrpc

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// The encoders append one message to dst, on one line, members in the order of
// the contract's examples. Params, results and data that are a jsontext.Value
// are taken as they are; anything else is marshalled. An error means that the
// value cannot be JSON; dst is then as it was.

// AppendRequest appends a request. With params nil it has none.
func AppendRequest(dst []byte, id ID, method string, params any) ([]byte, error) {
	return appendCall(dst, id, method, params)
}

// AppendNotification appends a notification. With params nil it has none.
func AppendNotification(dst []byte, method string, params any) ([]byte, error) {
	return appendCall(dst, NoID, method, params)
}

func appendCall(dst []byte, id ID, method string, params any) ([]byte, error) {
	dst = room(dst, len(method), params)
	b, err := jsontext.AppendQuote(append(head(dst, id), `,"method":`...), method)
	if err != nil {
		return dst, fmt.Errorf("method: %w", err)
	}
	if raw, ok := params.(jsontext.Value); params != nil && !(ok && raw == nil) {
		if b, err = appendValue(append(b, `,"params":`...), params); err != nil {
			return dst, fmt.Errorf("params: %w", err)
		}
	}
	return append(b, '}'), nil
}

// AppendResult appends a response with a result.
func AppendResult(dst []byte, id ID, result any) ([]byte, error) {
	dst = room(dst, 0, result)
	b, err := appendValue(append(head(dst, id), `,"result":`...), result)
	if err != nil {
		return dst, fmt.Errorf("result: %w", err)
	}
	return append(b, '}'), nil
}

// AppendError appends a response with an error. With NoID it has no id at all.
func AppendError(dst []byte, id ID, e *Error) ([]byte, error) {
	b, err := appendValue(append(head(dst, id), `,"error":`...), e)
	if err != nil {
		return dst, fmt.Errorf("error: %w", err)
	}
	return append(b, '}'), nil
}

// room has dst hold a message with the value without growing again.
func room(dst []byte, method int, value any) []byte {
	raw, _ := value.(jsontext.Value)
	return slices.Grow(dst, len(`{"jsonrpc":"2.0","id":999999,"method":"","params":}`)+method+len(raw))
}

func head(dst []byte, id ID) []byte {
	dst = append(dst, `{"jsonrpc":"2.0"`...)
	if id != NoID {
		dst = strconv.AppendInt(append(dst, `,"id":`...), int64(id), 10)
	}
	return dst
}

func appendValue(dst []byte, v any) ([]byte, error) {
	if raw, ok := v.(jsontext.Value); ok && raw != nil {
		return append(dst, raw...), nil
	}
	b, err := json.Marshal(v)
	return append(dst, b...), err
}
