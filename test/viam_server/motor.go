// Copyright 2026 The viam_session_bridge authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"sync"

	"go.viam.com/rdk/components/motor"
	"go.viam.com/rdk/components/motor/fake"
	"go.viam.com/rdk/logging"
	"go.viam.com/rdk/resource"
)

func init() {
	resource.RegisterComponent(
		motor.API, resource.NewModel("viamsessionbridge", "motor", "recorder"),
		resource.Registration[motor.Motor, *fake.Config]{Constructor: newRecordingMotor})
}

// recordingMotor is rdk's fake motor, and records what it is told.
type recordingMotor struct {
	motor.Motor
	mu sync.Mutex // held over effect and record, so that lines are in the order of effects
}

func newRecordingMotor(
	ctx context.Context, deps resource.Dependencies, conf resource.Config, logger logging.Logger,
) (motor.Motor, error) {
	faked, err := fake.NewMotor(ctx, deps, conf, logger)
	return &recordingMotor{Motor: faked}, err
}

// record does what the motor is told and records that.
func (m *recordingMotor) record(line entry, effect func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	line.Base, line.Phase = m.Name().ShortName(), "end"
	err := effect()
	if err != nil {
		line.Error = err.Error()
	}
	line.write()
	return err
}

func (m *recordingMotor) SetPower(
	ctx context.Context, power float64, extra map[string]interface{},
) error {
	return m.record(entry{Call: "set_power", Power: &power}, func() error {
		return m.Motor.SetPower(ctx, power, extra)
	})
}

func (m *recordingMotor) SetRPM(
	ctx context.Context, rpm float64, extra map[string]interface{},
) error {
	return m.record(entry{Call: "set_rpm", RPM: &rpm}, func() error {
		return m.Motor.SetRPM(ctx, rpm, extra)
	})
}

func (m *recordingMotor) Stop(ctx context.Context, extra map[string]interface{}) error {
	return m.record(entry{Call: "stop"}, func() error { return m.Motor.Stop(ctx, extra) })
}
