// Copyright 2026 The viam_session_bridge authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

var (
	errInjected     = errors.New("injected fault")
	errShuttingDown = errors.New("the server is shutting down")
	shuttingDown    = make(chan struct{})

	callNames = []string{
		"set_velocity", "set_power", "stop", "move_straight", "spin", "is_moving",
	}
)

// fault is what happens to the next calls of one name.
type fault struct {
	failures int           // the next so many calls fail
	delay    time.Duration // each call takes effect that much later
	hang     bool          // each call waits for the release
}

// faults are those of one base.
type faults struct {
	mu           sync.Mutex // guards the fields, is never held while a call waits
	calls        map[string]fault
	ignoreCancel bool
	released     chan struct{} // closed by the next release
}

func newFaults() *faults {
	return &faults{calls: map[string]fault{}, released: make(chan struct{})}
}

// meet lets a call wait as it was told to and returns the error it is to fail with.
func (f *faults) meet(ctx context.Context, call string) error {
	f.mu.Lock()
	now, ignoreCancel, released := f.calls[call], f.ignoreCancel, f.released
	if now.failures > 0 {
		next := now
		next.failures--
		f.calls[call] = next
	}
	f.mu.Unlock()

	if now.delay == 0 && !now.hang {
		return failure(now)
	}
	if now.delay > 0 {
		cancelled := ctx.Done()
		if ignoreCancel {
			cancelled = nil
		}
		select {
		case <-time.After(now.delay):
		case <-cancelled:
			return ctx.Err()
		case <-shuttingDown:
			return errShuttingDown
		}
	}
	if now.hang {
		select {
		case <-released:
		case <-shuttingDown:
			return errShuttingDown
		}
	}
	if !ignoreCancel && ctx.Err() != nil {
		return ctx.Err()
	}
	return failure(now)
}

func failure(f fault) error {
	if f.failures > 0 {
		return errInjected
	}
	return nil
}

// set changes the named faults and leaves the others as they are.
func (f *faults) set(values map[string]interface{}) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, value := range values {
		if err := f.setOne(key, value); err != nil {
			return err
		}
	}
	return nil
}

func (f *faults) setOne(key string, value interface{}) error {
	number, isNumber := value.(float64)
	truth, isBool := value.(bool)
	if key == "ignore_cancel" && isBool {
		f.ignoreCancel = truth
		return nil
	}
	split := strings.LastIndex(key, "_")
	if split < 0 || !slices.Contains(callNames, key[:split]) {
		return fmt.Errorf("no such fault: %q = %v", key, value)
	}
	call := key[:split]
	changed := f.calls[call]
	switch kind := key[split+1:]; {
	case kind == "failures" && isNumber:
		changed.failures = int(number)
	case kind == "delay" && isNumber:
		changed.delay = time.Duration(number * float64(time.Second))
	case kind == "hang" && isBool:
		changed.hang = truth // those that hang already wait for the release all the same
	default:
		return fmt.Errorf("no such fault: %q = %v", key, value)
	}
	f.calls[call] = changed
	return nil
}

// release lets all calls that hang go on, and no further one hang.
func (f *faults) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.released)
	f.released = make(chan struct{})
	for call, now := range f.calls {
		now.hang = false
		f.calls[call] = now
	}
}
