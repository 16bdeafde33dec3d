// Copyright 2026 The viam_session_bridge authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
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
	error    error         // with this, where it is set
	delay    time.Duration // each call takes effect that much later
	hang     bool          // each call waits for the release
}

// faults are those of one base.
type faults struct {
	mu           sync.Mutex // guards the fields, is never held while a call waits
	calls        map[string]fault
	ignoreCancel bool
	coast        time.Duration
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

	if ignoreCancel {
		ctx = context.WithoutCancel(ctx)
	}
	if now.delay > 0 {
		if err := wait(ctx, time.After(now.delay)); err != nil {
			return err
		}
	}
	if now.hang {
		if err := wait(ctx, released); err != nil {
			return err
		}
	}
	switch {
	case now.failures == 0:
		return nil
	case now.error != nil:
		return now.error
	default:
		return errInjected
	}
}

// wait returns once there is something on the channel, with an error if the call ended before.
func wait[T any](ctx context.Context, over <-chan T) error {
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-shuttingDown:
		return errShuttingDown
	}
}

// coasting returns for how long the base still moves once it was stopped.
func (f *faults) coasting() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.coast
}

// set changes the named faults and leaves the others as they are.
func (f *faults) set(values map[string]interface{}) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, value := range values {
		if !f.setOne(key, value) {
			return fmt.Errorf("no such fault: %q = %v", key, value)
		}
	}
	return nil
}

// setOne tells whether there is such a fault.
func (f *faults) setOne(key string, value interface{}) bool {
	number, isNumber := value.(float64)
	truth, isBool := value.(bool)
	text, isText := value.(string)
	switch {
	case key == "ignore_cancel" && isBool:
		f.ignoreCancel = truth
		return true
	case key == "coast" && isNumber:
		f.coast = seconds(number)
		return true
	}
	split := strings.LastIndex(key, "_")
	if split < 0 || !slices.Contains(callNames, key[:split]) {
		return false
	}
	call := key[:split]
	changed := f.calls[call]
	switch kind := key[split+1:]; {
	case kind == "failures" && isNumber:
		changed.failures = int(number)
	case kind == "error" && isText:
		name, details, _ := strings.Cut(text, ": ")
		var code codes.Code
		if json.Unmarshal([]byte(`"`+name+`"`), &code) != nil {
			return false
		}
		changed.error = status.Error(code, details)
	case kind == "delay" && isNumber:
		changed.delay = seconds(number)
	case kind == "hang" && isBool:
		changed.hang = truth // those that hang already wait for the release all the same
	default:
		return false
	}
	f.calls[call] = changed
	return true
}

func seconds(number float64) time.Duration { return time.Duration(number * float64(time.Second)) }

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
