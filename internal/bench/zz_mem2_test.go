package bench

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"testing"
)

// child side
func TestIdleChild(t *testing.T) {
	side := os.Getenv("IDLE")
	if side == "" {
		t.Skip()
	}
	pr, pw, _ := os.Pipe()
	go func() {
		sc := bufio.NewScanner(os.Stdin)
		for sc.Scan() {
			runtime.GC()
			debug.FreeOSMemory()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			fmt.Fprintf(os.Stderr, "heapalloc %d heapinuse %d heapidle-rel %d stackinuse %d stacksys %d msys %d gcsys %d other %d bucksys %d\n", m.HeapAlloc, m.HeapInuse, m.HeapIdle-m.HeapReleased, m.StackInuse, m.StackSys, m.MSpanSys+m.MCacheSys, m.GCSys, m.OtherSys, m.BuckHashSys)
			fmt.Fprintln(pw, "held")
		}
		pw.Close()
	}()
	ServeIdle(side, pr, os.Stdout)
	os.Exit(0)
}

func TestIdleParent(t *testing.T) {
	if os.Getenv("IDLEP") == "" {
		t.Skip()
	}
	b := &bench{Options: Options{Idle: func(ctx context.Context, side string) *exec.Cmd {
		c := exec.Command(os.Args[0], "-test.run", "TestIdleChild")
		c.Env = append(os.Environ(), "IDLE="+side)
		return c
	}}}
	for _, side := range []string{IdleBare, IdleGateway} {
		c, err := b.idle(context.Background(), side, 4000)
		fmt.Println(side, c, err)
	}
}
