// Copyright 2026 The viam_session_bridge authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/golang/geo/r3"

	"go.viam.com/rdk/components/motor"
	"go.viam.com/rdk/components/movementsensor"
	"go.viam.com/rdk/components/movementsensor/fake"
	"go.viam.com/rdk/logging"
	"go.viam.com/rdk/resource"
	"go.viam.com/rdk/spatialmath"
)

const (
	fullSpeed = 1.0   // m/s at full power of both motors
	fullTurn  = 180.0 // deg/s at full power of both motors, in opposite directions
)

func init() {
	resource.RegisterComponent(
		movementsensor.API, resource.NewModel("viamsessionbridge", "movement_sensor", "follower"),
		resource.Registration[movementsensor.MovementSensor, *sensorConfig]{Constructor: newSensor})
}

type sensorConfig struct {
	Left  string `json:"left"`
	Right string `json:"right"`
}

// Validate returns what the sensor depends on.
func (c *sensorConfig) Validate(string) ([]string, []string, error) {
	return []string{c.Left, c.Right}, nil, nil
}

// sensor measures the speed of a base with two motors, which follows their powers at once; a dead
// one reads zero.
type sensor struct {
	movementsensor.MovementSensor
	left, right motor.Motor
	dead        atomic.Bool
}

func newSensor(
	ctx context.Context, deps resource.Dependencies, conf resource.Config, logger logging.Logger,
) (movementsensor.MovementSensor, error) {
	config, err := resource.NativeConfig[*sensorConfig](conf)
	if err != nil {
		return nil, err
	}
	made := &sensor{}
	if made.MovementSensor, err = fake.NewMovementSensor(ctx, deps, conf, logger); err != nil {
		return nil, err
	}
	if made.left, err = motor.FromProvider(deps, config.Left); err != nil {
		return nil, err
	}
	made.right, err = motor.FromProvider(deps, config.Right)
	return made, err
}

func (s *sensor) Properties(
	context.Context, map[string]interface{},
) (*movementsensor.Properties, error) {
	return &movementsensor.Properties{
		LinearVelocitySupported: true, AngularVelocitySupported: true,
	}, nil
}

func (s *sensor) LinearVelocity(
	ctx context.Context, _ map[string]interface{},
) (r3.Vector, error) {
	left, right, err := s.powers(ctx)
	return r3.Vector{Y: (left + right) / 2 * fullSpeed}, err
}

func (s *sensor) AngularVelocity(
	ctx context.Context, _ map[string]interface{},
) (spatialmath.AngularVelocity, error) {
	left, right, err := s.powers(ctx)
	return spatialmath.AngularVelocity{Z: (right - left) / 2 * fullTurn}, err
}

func (s *sensor) powers(ctx context.Context) (left, right float64, err error) {
	if s.dead.Load() {
		return 0, 0, nil
	}
	if _, left, err = s.left.IsPowered(ctx, nil); err != nil {
		return 0, 0, err
	}
	_, right, err = s.right.IsPowered(ctx, nil)
	return left, right, err
}

// DoCommand takes {"dead": BOOL}.
func (s *sensor) DoCommand(
	_ context.Context, command map[string]interface{},
) (map[string]interface{}, error) {
	dead, ok := command["dead"].(bool)
	if !ok {
		return nil, fmt.Errorf("no such command: %v", command)
	}
	s.dead.Store(dead)
	return map[string]interface{}{}, nil
}
