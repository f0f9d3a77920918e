package gateway

import (
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/wire"
)

// tableUnlock tells the till that it may edit the table again (the contract,
// section 5.6).
func tableUnlock(v table.Visit) wire.TableUnlock {
	return wire.TableUnlock{TerminalID: wire.TerminalID{TID: v.TID}, WaiterID: string(v.Waiter), TableID: string(v.Table)}
}
