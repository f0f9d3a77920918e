package sqlite

import (
	"context"
	"database/sql/driver"
	"embed"
	"fmt"
	"io/fs"

	"github.com/tillwire/tillwire/journal"
)

//go:embed schema/*.sql
var schema embed.FS

// keeperSchema is the version from which on a site says who keeps its tables.
const keeperSchema = 4

// migrations returns the steps in order: the n-th leads to schema version n.
func migrations() []string {
	names, err := fs.Glob(schema, "schema/*.sql")
	if err != nil {
		panic(err)
	}
	var steps []string
	for _, name := range names {
		text, err := schema.ReadFile(name)
		if err != nil {
			panic(err)
		}
		steps = append(steps, string(text))
	}
	return steps
}

// schemaVersion returns the version that the database has, 0 when it is new,
// or a *journal.NewerError.
func schemaVersion(c *conn) (int, error) {
	v, err := c.integer("PRAGMA user_version")
	if err != nil {
		return 0, err
	}
	if int(v) > len(migrations()) || v < 0 {
		return 0, &journal.NewerError{Kind: "schema", Version: int(v)}
	}
	return int(v), nil
}

// migrate brings the database up to date, each step whole or not at all.
func migrate(c *conn, from int) error {
	for i, step := range migrations()[from:] {
		text := fmt.Sprintf("BEGIN IMMEDIATE;\n%s\nPRAGMA user_version = %d;\nCOMMIT;", step, from+i+1)
		if err := c.script(text); err != nil {
			_ = c.script("ROLLBACK") // SQLite may have done so itself
			return fmt.Errorf("journal: schema version %d: %w", from+i+1, err)
		}
	}
	return nil
}

// A conn is one connection of the driver without the pool of database/sql,
// which costs as much again as a small statement. One goroutine uses it.
type conn struct{ driver.Conn }

// script runs statements that return nothing.
func (c *conn) script(text string) error {
	_, err := c.Conn.(driver.ExecerContext).ExecContext(context.Background(), text, nil)
	return err
}

// integer returns the first column of the first row.
func (c *conn) integer(query string) (int64, error) {
	s, err := c.prepare(query)
	if err != nil {
		return 0, err
	}
	defer s.close()
	var v int64
	_, err = s.row(func(dest []driver.Value) { v, _ = dest[0].(int64) })
	return v, err
}

func (c *conn) prepare(query string) (*stmt, error) {
	s, err := c.Conn.(driver.ConnPrepareContext).PrepareContext(context.Background(), query)
	if err != nil {
		return nil, wrap(err)
	}
	return &stmt{s, make([]driver.NamedValue, 0, 24)}, nil
}

// A stmt is a prepared statement; its arguments are built in place.
type stmt struct {
	driver.Stmt
	args []driver.NamedValue
}

func (s *stmt) bind(values ...driver.Value) {
	s.args = s.args[:0]
	for i, v := range values {
		s.args = append(s.args, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
}

// exec returns the number of rows changed.
func (s *stmt) exec(values ...driver.Value) (int64, error) {
	s.bind(values...)
	r, err := s.Stmt.(driver.StmtExecContext).ExecContext(context.Background(), s.args)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// row passes the first row to take and reports whether there is one.
func (s *stmt) row(take func([]driver.Value), values ...driver.Value) (bool, error) {
	s.bind(values...)
	rows, err := s.Stmt.(driver.StmtQueryContext).QueryContext(context.Background(), s.args)
	if err != nil {
		return false, wrap(err)
	}
	defer rows.Close()
	dest := make([]driver.Value, len(rows.Columns()))
	if err := rows.Next(dest); err != nil {
		return false, end(err)
	}
	take(dest)
	return true, nil
}

func (s *stmt) close() { _ = s.Stmt.Close() }

// values are one row of the raw driver.
type values []driver.Value

// scan is what sql.Rows.Scan is, for the types that are kept here.
func (v values) scan(dest ...any) error {
	if len(v) != len(dest) {
		return fmt.Errorf("%d columns for %d values", len(v), len(dest))
	}
	for i, d := range dest {
		n, ok := v[i].(int64)
		text, isText := v[i].(string)
		blob, isBlob := v[i].([]byte)
		switch d := d.(type) {
		case *int64:
			*d = n
		case *int:
			*d, ok = int(n), ok && int64(int(n)) == n
		case *bool:
			*d, ok = n != 0, ok && n>>1 == 0
		case *string:
			*d, ok = text, isText
		case *[]byte:
			*d, ok = blob, isBlob || v[i] == nil
		default:
			return fmt.Errorf("column %d: no way to scan a %T", i, d)
		}
		if !ok {
			return fmt.Errorf("column %d holds a %T", i, v[i])
		}
	}
	return nil
}
