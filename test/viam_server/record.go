// Copyright 2026 The viam_session_bridge authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// entry is one line of the record; test/support/record.py documents the format.
type entry struct {
	T       float64     `json:"t"`
	Base    string      `json:"base"`
	Call    string      `json:"call"`
	Phase   string      `json:"phase"`
	Linear  *[3]float64 `json:"linear,omitempty"`
	Angular *[3]float64 `json:"angular,omitempty"`
	Power   *float64    `json:"power,omitempty"`
	RPM     *float64    `json:"rpm,omitempty"`
	Error   string      `json:"error,omitempty"`
	Session string      `json:"session,omitempty"`
}

var (
	recordLock sync.Mutex // held over clock and write, so that lines are in the order of time
	recordFile *os.File
)

func openRecord(path string) (err error) {
	recordFile, err = os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	return err
}

// write stamps the entry and appends it, in one write.
func (e entry) write() {
	recordLock.Lock()
	defer recordLock.Unlock()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		panic(err)
	}
	e.T = float64(now.Sec) + float64(now.Nsec)/1e9
	line, err := json.Marshal(e)
	if err == nil {
		_, err = recordFile.Write(append(line, '\n'))
	}
	if err != nil {
		panic(err)
	}
}
