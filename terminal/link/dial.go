package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/tillwire/tillwire/wire"
	"github.com/tillwire/tillwire/ws"
)

// Dialler returns a function that opens connections to the address of a
// gateway's terminal link, wss://host/terminal?token=…; a link-version is added
// where it has none. The connections are pinged by keeper, which may be nil. No
// error repeats the address: it bears the key.
func Dialler(address string, secure *tls.Config, keeper *ws.Keeper) (func(context.Context) (*ws.Conn, error), error) {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || (u.Scheme != "ws" && u.Scheme != "wss") || u.Host == "" {
		return nil, errAddress
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errors.New("link: the query of the address cannot be read")
	}
	if !q.Has("link-version") {
		q.Set("link-version", fmt.Sprint(Version))
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = Path
	}
	if !strings.EqualFold(path.Base(u.Path), path.Base(Path)) || q.Get("token") == "" {
		return nil, errAddress
	}
	u.RawQuery, u.Fragment = q.Encode(), ""
	target := u.String()
	return func(ctx context.Context) (*ws.Conn, error) {
		return ws.Dial(ctx, target, ws.DialOptions{
			Options: ws.Options{MaxMessage: MaxMessage, Keeper: keeper}, TLS: secure, Timeout: dialLimit,
		})
	}, nil
}

var errAddress = errors.New("link: the address is not of the form wss://host/terminal?token=…")

const dialLimit = 15 * time.Second

// refusalText is what a gateway, or a proxy before it, said to an upgrade.
func refusalText(e *ws.RefusedError) string {
	text := fmt.Sprintf("%d %s", e.Status, http.StatusText(e.Status))
	if why := wire.DecodeRefusal(e.Body).UserMessage; why != "" {
		text += ": " + why
	}
	return text
}
