// Copyright 2026 The viam_session_bridge authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/golang/geo/r3"

	"go.viam.com/rdk/components/base"
	"go.viam.com/rdk/logging"
	"go.viam.com/rdk/resource"
	"go.viam.com/rdk/session"
	"go.viam.com/rdk/spatialmath"
)

var model = resource.NewModel("viamsessionbridge", "base", "recorder")

func init() {
	resource.RegisterComponent(
		base.API, model,
		resource.Registration[base.Base, resource.NoNativeConfig]{Constructor: newRecorder})
}

// recorder is a base that records every call and has the faults it is told to have.
type recorder struct {
	resource.Named
	resource.TriviallyReconfigurable
	resource.TriviallyCloseable
	faults *faults

	mu              sync.Mutex // guards what follows, is never held while a call waits
	linear, angular r3.Vector  // the motion that is in effect
	coasts          time.Time  // until then it moves without one
	counts          map[string]interface{}
}

func newRecorder(
	_ context.Context, _ resource.Dependencies, conf resource.Config, _ logging.Logger,
) (base.Base, error) {
	return &recorder{
		Named:  conf.ResourceName().AsNamed(),
		faults: newFaults(),
		counts: map[string]interface{}{},
	}, nil
}

// call records one call from begin to end. Unless it fails, effect runs right before the end,
// in one step with it.
func (r *recorder) call(
	ctx context.Context, name string, linear, angular *r3.Vector, effect func(),
) error {
	line := entry{
		Base: r.Name().ShortName(), Call: name, Phase: "begin",
		Linear: numbers(linear), Angular: numbers(angular),
	}
	if sess, ok := session.FromContext(ctx); ok {
		line.Session = sess.ID().String()
	}
	r.mu.Lock()
	count, _ := r.counts[name].(float64)
	r.counts[name] = count + 1
	r.mu.Unlock()
	line.write()

	err := r.faults.meet(ctx, name)
	line.Phase = "end"
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		line.Error = err.Error()
	} else {
		effect()
	}
	line.write()
	return err
}

func (r *recorder) move(ctx context.Context, name string, linear, angular r3.Vector) error {
	return r.call(ctx, name, &linear, &angular, func() {
		r.standStill()
		r.linear, r.angular = linear, angular
	})
}

func (r *recorder) SetVelocity(
	ctx context.Context, linear, angular r3.Vector, _ map[string]interface{},
) error {
	return r.move(ctx, "set_velocity", linear, angular)
}

func (r *recorder) SetPower(
	ctx context.Context, linear, angular r3.Vector, _ map[string]interface{},
) error {
	return r.move(ctx, "set_power", linear, angular)
}

func (r *recorder) Stop(ctx context.Context, _ map[string]interface{}) error {
	return r.call(ctx, "stop", nil, nil, r.standStill)
}

// MoveStraight is over at once: it arrives and stands still.
func (r *recorder) MoveStraight(
	ctx context.Context, _ int, mmPerSec float64, _ map[string]interface{},
) error {
	return r.call(
		ctx, "move_straight", &r3.Vector{Y: mmPerSec}, &r3.Vector{}, r.standStill)
}

// Spin is over at once: it arrives and stands still.
func (r *recorder) Spin(
	ctx context.Context, _, degsPerSec float64, _ map[string]interface{},
) error {
	return r.call(ctx, "spin", &r3.Vector{}, &r3.Vector{Z: degsPerSec}, r.standStill)
}

func (r *recorder) IsMoving(ctx context.Context) (moving bool, err error) {
	err = r.call(ctx, "is_moving", nil, nil, func() { moving = r.moving() })
	return moving, err
}

func (r *recorder) Properties(context.Context, map[string]interface{}) (base.Properties, error) {
	return base.Properties{WidthMeters: 0.5, WheelCircumferenceMeters: 1}, nil
}

func (r *recorder) Geometries(
	context.Context, map[string]interface{},
) ([]spatialmath.Geometry, error) {
	return nil, nil
}

// DoCommand takes {"set": {FAULT: VALUE}}, {"release": true} and {"get": true}, in this order,
// and returns the state where it is asked for.
func (r *recorder) DoCommand(
	_ context.Context, command map[string]interface{},
) (map[string]interface{}, error) {
	for key := range command {
		if key != "set" && key != "release" && key != "get" {
			return nil, fmt.Errorf("no such command: %q", key)
		}
	}
	if values, ok := command["set"].(map[string]interface{}); ok {
		if err := r.faults.set(values); err != nil {
			return nil, err
		}
	}
	if command["release"] == true {
		r.faults.release()
	}
	if command["get"] != true {
		return map[string]interface{}{}, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	counts := map[string]interface{}{}
	for name, count := range r.counts {
		counts[name] = count
	}
	return map[string]interface{}{
		"moving":  r.moving(),
		"linear":  list(r.linear),
		"angular": list(r.angular),
		"counts":  counts,
	}, nil
}

// standStill and moving need the lock.
func (r *recorder) standStill() {
	if r.driven() {
		r.coasts = time.Now().Add(r.faults.coasting())
	}
	r.linear, r.angular = r3.Vector{}, r3.Vector{}
}

func (r *recorder) moving() bool { return r.driven() || time.Now().Before(r.coasts) }

func (r *recorder) driven() bool { return r.linear != r3.Vector{} || r.angular != r3.Vector{} }

func numbers(v *r3.Vector) *[3]float64 {
	if v == nil {
		return nil
	}
	return &[3]float64{v.X, v.Y, v.Z}
}

func list(v r3.Vector) []interface{} { return []interface{}{v.X, v.Y, v.Z} }
