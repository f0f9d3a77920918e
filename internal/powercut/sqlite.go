package powercut

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// UnderSQLite puts the layer under every SQLite database that this process opens
// from now on: a VFS of SQLite's own kind, which is the system's but for what it
// notes. There is no way back, and the layer must be kept alive as long as there
// are such databases.
func (l *Layer) UnderSQLite() error {
	tls := libc.NewTLS() // for the life of the process, as the VFS is
	system := sqlite3.Xsqlite3_vfs_find(tls, 0)
	if system == 0 {
		return errors.New("powercut: SQLite has no VFS")
	}
	name, err := libc.CString("powercut")
	if err != nil {
		return err
	}
	own := libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(sqlite3.Tsqlite3_vfs{})))
	if own == 0 {
		return errors.New("powercut: no memory")
	}
	v := &vfs{layer: l, system: system, open: map[uintptr]*database{}, methods: map[uintptr]uintptr{}}
	l.under = v // SQLite has addresses, which keep nothing alive
	to := vfsAt(own)
	*to = *vfsAt(system)
	to.FpNext, to.FzName = 0, name
	to.FxOpen, to.FxDelete = v.keep(v.xOpen), v.keep(v.xDelete)
	if rc := sqlite3.Xsqlite3_vfs_register(tls, own, 1); rc != sqlite3.SQLITE_OK {
		return fmt.Errorf("powercut: SQLite takes no VFS: %d", rc)
	}
	return nil
}

// A vfs lies between SQLite and the system's VFS.
type vfs struct {
	layer  *Layer
	system uintptr
	kept   []any // functions that SQLite has the addresses of

	mu      sync.Mutex
	open    map[uintptr]*database // by the address of SQLite's file
	methods map[uintptr]uintptr   // ours, by those of the system that they stand for
}

// A database is an open file of one, its log included.
type database struct {
	path    string
	methods *sqlite3.Tsqlite3_io_methods // the system's
	dirSync bool                         // its first sync syncs its folder, too
}

// The structures lie in memory of C, which does not move.
func vfsAt(p uintptr) *sqlite3.Tsqlite3_vfs { return *(**sqlite3.Tsqlite3_vfs)(unsafe.Pointer(&p)) }

func fileAt(p uintptr) *sqlite3.Tsqlite3_file { return *(**sqlite3.Tsqlite3_file)(unsafe.Pointer(&p)) }

func methodsAt(p uintptr) *sqlite3.Tsqlite3_io_methods {
	return *(**sqlite3.Tsqlite3_io_methods)(unsafe.Pointer(&p))
}

func bytesAt(p uintptr, n int32) []byte { return unsafe.Slice(*(**byte)(unsafe.Pointer(&p)), n) }

// keep gives the address of a function, as code that was C wants it.
func (v *vfs) keep(f any) uintptr {
	v.kept = append(v.kept, f)
	return (*[2]uintptr)(unsafe.Pointer(&f))[1]
}

// call makes a function of an address.
func call[F any](at uintptr) F {
	return *(*F)(unsafe.Pointer(&struct{ uintptr }{at}))
}

// files are the kinds of files that must outlive a loss of power.
const files = sqlite3.SQLITE_OPEN_MAIN_DB | sqlite3.SQLITE_OPEN_MAIN_JOURNAL | sqlite3.SQLITE_OPEN_WAL

func (v *vfs) xOpen(tls *libc.TLS, _, zName, pFile uintptr, flags int32, pOut uintptr) int32 {
	path := ""
	if zName != 0 && flags&files != 0 {
		path = libc.GoString(zName)
		_, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) && flags&sqlite3.SQLITE_OPEN_CREATE != 0 {
			err = v.layer.create(path)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return sqlite3.SQLITE_IOERR
		}
	}
	open := call[func(*libc.TLS, uintptr, uintptr, uintptr, int32, uintptr) int32](vfsAt(v.system).FxOpen)
	rc := open(tls, v.system, zName, pFile, flags, pOut)
	f := fileAt(pFile)
	if rc != sqlite3.SQLITE_OK || path == "" || f.FpMethods == 0 {
		return rc
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.open[pFile] = &database{
		path: path, methods: methodsAt(f.FpMethods),
		dirSync: flags&sqlite3.SQLITE_OPEN_CREATE != 0 && flags&sqlite3.SQLITE_OPEN_MAIN_DB == 0,
	}
	ours, ok := v.methods[f.FpMethods]
	if !ok {
		ours = libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(sqlite3.Tsqlite3_io_methods{})))
		if ours == 0 {
			return sqlite3.SQLITE_NOMEM
		}
		m := methodsAt(ours)
		*m = *methodsAt(f.FpMethods)
		m.FxClose, m.FxWrite, m.FxTruncate, m.FxSync = v.keep(v.xClose), v.keep(v.xWrite), v.keep(v.xTruncate), v.keep(v.xSync)
		v.methods[f.FpMethods] = ours
	}
	f.FpMethods = ours
	return rc
}

// at returns the open file.
func (v *vfs) at(pFile uintptr) *database {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.open[pFile]
}

func (v *vfs) xClose(tls *libc.TLS, pFile uintptr) int32 {
	d := v.at(pFile)
	v.mu.Lock()
	delete(v.open, pFile)
	v.mu.Unlock()
	return call[func(*libc.TLS, uintptr) int32](d.methods.FxClose)(tls, pFile)
}

// reader reads as SQLite does.
func (d *database) reader(tls *libc.TLS, pFile uintptr) reader {
	return func(offset, n int64) (int64, []byte, error) {
		at := libc.Xmalloc(tls, libc.Tsize_t(8))
		if at == 0 {
			return 0, nil, errors.New("no memory")
		}
		defer libc.Xfree(tls, at)
		if rc := call[func(*libc.TLS, uintptr, uintptr) int32](d.methods.FxFileSize)(tls, pFile, at); rc != sqlite3.SQLITE_OK {
			return 0, nil, fmt.Errorf("the size of %s: %d", d.path, rc)
		}
		size := **(**int64)(unsafe.Pointer(&at))
		n = max(0, min(n, size-offset))
		if n == 0 {
			return size, nil, nil
		}
		buf := libc.Xmalloc(tls, libc.Tsize_t(n))
		if buf == 0 {
			return 0, nil, errors.New("no memory")
		}
		defer libc.Xfree(tls, buf)
		if rc := call[func(*libc.TLS, uintptr, uintptr, int32, int64) int32](d.methods.FxRead)(tls, pFile, buf, int32(n), offset); rc != sqlite3.SQLITE_OK {
			return 0, nil, fmt.Errorf("reading %s: %d", d.path, rc)
		}
		return size, bytes.Clone(bytesAt(buf, int32(n))), nil
	}
}

func (v *vfs) xWrite(tls *libc.TLS, pFile, zBuf uintptr, n int32, offset int64) int32 {
	d, rc := v.at(pFile), int32(sqlite3.SQLITE_OK)
	err := v.layer.write(d.path, bytesAt(zBuf, n), offset, d.reader(tls, pFile), func() error {
		rc = call[func(*libc.TLS, uintptr, uintptr, int32, int64) int32](d.methods.FxWrite)(tls, pFile, zBuf, n, offset)
		return nil
	})
	if err != nil {
		return sqlite3.SQLITE_IOERR_WRITE
	}
	return rc
}

func (v *vfs) xTruncate(tls *libc.TLS, pFile uintptr, size int64) int32 {
	d, rc := v.at(pFile), int32(sqlite3.SQLITE_OK)
	err := v.layer.truncate(d.path, size, d.reader(tls, pFile), func() error {
		rc = call[func(*libc.TLS, uintptr, int64) int32](d.methods.FxTruncate)(tls, pFile, size)
		return nil
	})
	if err != nil {
		return sqlite3.SQLITE_IOERR_TRUNCATE
	}
	return rc
}

// xSync is like that of the system: the first sync of a log syncs its folder.
func (v *vfs) xSync(_ *libc.TLS, pFile uintptr, _ int32) int32 {
	d := v.at(pFile)
	err := v.layer.syncFile(d.path)
	if err == nil && d.dirSync {
		d.dirSync = false
		err = v.layer.SyncDir(filepath.Dir(d.path))
	}
	if err != nil {
		return sqlite3.SQLITE_IOERR_FSYNC
	}
	return sqlite3.SQLITE_OK
}

func (v *vfs) xDelete(tls *libc.TLS, _, zName uintptr, dirSync int32) int32 {
	path, rc := libc.GoString(zName), int32(sqlite3.SQLITE_OK)
	err := v.layer.remove(path, func() error {
		rc = call[func(*libc.TLS, uintptr, uintptr, int32) int32](vfsAt(v.system).FxDelete)(tls, v.system, zName, dirSync)
		return nil
	})
	if err == nil && dirSync != 0 {
		err = v.layer.SyncDir(filepath.Dir(path))
	}
	if err != nil {
		return sqlite3.SQLITE_IOERR_DELETE
	}
	return rc
}
