package bench

import (
	"context"
	"os"
	"runtime"
	"runtime/pprof"
	"testing"

	"github.com/tillwire/tillwire/journal/memory"
	"github.com/tillwire/tillwire/terminal"
)

func TestMem(t *testing.T) {
	if os.Getenv("MEM") == "" {
		t.Skip()
	}
	runtime.MemProfileRate = 1
	ctx := context.Background()
	s, err := openShop(ctx, memory.New(), 1, func(*machine, terminal.Request) {})
	if err != nil {
		t.Fatal(err)
	}
	var ends []*end
	for range 4000 {
		e, err := dial(ctx, s.url)
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, e)
		if err := settle(e); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.GC()
	f, _ := os.Create(os.Getenv("MEM"))
	pprof.Lookup("heap").WriteTo(f, 0)
	f.Close()
	for _, e := range ends {
		e.close()
	}
}
