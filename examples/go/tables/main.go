// Tables is a whole till for Pay-At-Table, with the library epos: waiters at the
// card machines list, lock and pay its tables, and it keeps the books.
//
//	go run ./examples/go/tables                                  serves the tables
//	go run ./examples/go/tables -waiter 3 open 12 45.50          in another window
//	go run ./examples/go/tables show 12
//
// Ctrl-C stops it. Exit code: 0 stopped, or done; 1 refused, or another till took
// over; 2 wrong usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/signal"

	"github.com/tillwire/tillwire/epos"
	"github.com/tillwire/tillwire/money"
)

// softwareHouse was issued to who wrote this till. Nobody can change it in the field.
const softwareHouse = "EXAMPLESWH"

func main() {
	gateway := flag.String("gateway", "ws://127.0.0.1:8484", "the gateway's host, with ws:// before it for one without TLS")
	key := flag.String("key", "demo", "the site's key")
	installer := flag.String("installer", "DEMOINST", "the installer's id")
	data := flag.String("data", "tables-data", "folder with the tables and the reports")
	waiter := flag.String("waiter", "", "whose table it is; empty: everybody's")
	flag.Parse()
	// An address as a gateway prints it to be pasted holds three of the settings.
	if u, err := url.Parse(os.Getenv("TILLWIRE_URL")); err == nil && u.Host != "" {
		*gateway, *key, *installer = u.Scheme+"://"+u.Host, u.Query().Get("token"), u.Query().Get("installer-id")
	}
	t := &till{books: books{*data}}
	options := epos.Options{Host: *gateway, Key: *key, SoftwareHouseID: softwareHouse, InstallerID: *installer}
	switch args := append(flag.Args(), "", "", ""); {
	case os.Getenv("TILLWIRE_CHECK_STEP") != "":
		os.Exit(t.check()) // the integration checklist tries this till
	case args[0] == "":
		os.Exit(t.serve(options))
	case args[0] == "open":
		amount, err := money.Parse(args[2], money.GBP) // 45.50 is 4550, without a float in between
		if err == nil {
			err = t.books.open(args[1], epos.WaiterID(*waiter), amount.Minor)
		}
		os.Exit(ends(err))
	case args[0] == "show":
		b, err := t.books.table(args[1])
		if err == nil {
			fmt.Printf("%+v\n", *b)
		}
		os.Exit(ends(err))
	}
	os.Exit(ends(errors.New("say open TABLE AMOUNT, show TABLE, or nothing to serve the tables")))
}

func ends(err error) int {
	if err == nil {
		return 0
	}
	fmt.Println(err)
	return 2
}

// serve answers the card machines until Ctrl-C.
func (t *till) serve(o epos.Options) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	o.Handler.Error = func(e *epos.Error) { fmt.Println("The gateway says:", e.StaffMessage()) }
	err := epos.Tables{
		Options: o, Handler: t, Payments: t,
		Connection: func(c epos.ConnectionState) {
			if c.Up {
				fmt.Println("Connected.")
			} else {
				fmt.Println("Not connected:", c.Err)
			}
		},
		Failed: func(method string, err error) { fmt.Println(method+":", err) },
	}.Run(ctx)
	switch {
	case ctx.Err() != nil:
		return 0
	case errors.Is(err, epos.ErrDiscontinued):
		fmt.Println("Another till took over. Only one can serve the tables: a person must choose.")
	default:
		fmt.Println(err)
	}
	return 1
}
