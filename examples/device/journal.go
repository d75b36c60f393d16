package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// A journal is a file of JSON values, one a line, which outlives a program. A line is safe as soon
// as append has returned: it is there after a crash, a kill, or a loss of power. The server keeps
// the reports that it counted in one, and each device those that it made. One program at a time may
// use it.
type journal struct {
	file *os.File
	size int64 // up to the end of the last whole line
}

// openJournal opens a journal, or begins it, and calls replay with each line. A last line without
// an end was being written when the program died. No caller was promised anything for it, and the
// next line goes in its place.
func openJournal(name string, replay func(line []byte) error) (*journal, error) {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	j := &journal{file: file}
	if err := j.load(replay); err != nil {
		file.Close()
		return nil, err
	}
	return j, nil
}

func (j *journal) load(replay func(line []byte) error) error {
	if err := lock(j.file); err != nil {
		return err
	}
	data, err := io.ReadAll(j.file)
	if err != nil {
		return err
	}
	j.size = int64(bytes.LastIndexByte(data, '\n') + 1)
	n := 0
	for line := range bytes.Lines(data[:j.size]) {
		n++
		if err := replay(line); err != nil {
			return fmt.Errorf("%s:%d: %w", j.file.Name(), n, err)
		}
	}
	return nil
}

// append adds a line, and returns when it is on the disk. After an error it is
// not in the journal, so it can be appended again.
func (j *journal) append(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	if _, err = j.file.WriteAt(line, j.size); err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		j.cut() // half a line must not come before the next one
		return err
	}
	j.size += int64(len(line))
	return nil
}

// clear throws away all lines.
func (j *journal) clear() error {
	j.size = 0
	return j.cut()
}

func (j *journal) cut() error   { return j.file.Truncate(j.size) }
func (j *journal) close() error { return j.file.Close() }
