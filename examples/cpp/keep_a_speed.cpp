// Copyright 2026 The viam_session_bridge authors
// SPDX-License-Identifier: Apache-2.0
//
// Keeps a speed without repeating it, as ../keep_a_speed.py: one command, then heartbeats.
// Depends on rclcpp, geometry_msgs and std_msgs.

#include <chrono>
#include <memory>

#include "geometry_msgs/msg/twist.hpp"
#include "rclcpp/rclcpp.hpp"
#include "std_msgs/msg/string.hpp"

class KeepASpeed : public rclcpp::Node
{
public:
  KeepASpeed()
  : Node("keep_a_speed")
  {
    commands_ = create_publisher<geometry_msgs::msg::Twist>("cmd_vel", 1);
    heartbeats_ = create_publisher<std_msgs::msg::String>("viam_session_bridge/heartbeat", 1);
    // By the steady clock, in the node's default callback group: while another of its callbacks
    // hangs, none is sent. Five in the bridge's default window.
    timer_ = create_wall_timer(std::chrono::milliseconds(100), [this]() {beat();});
  }

private:
  void beat()
  {
    if (!driving_) {
      // The bridge listens to both. Others, such as a recorder, may listen to the commands alone.
      if (!commands_->get_subscription_count() || !heartbeats_->get_subscription_count()) {
        return;
      }
      geometry_msgs::msg::Twist command;
      command.linear.x = 0.2;  // m/s
      commands_->publish(command);
      driving_ = true;
    }
    heartbeats_->publish(std_msgs::msg::String());  // empty: for the node that sends it
  }

  rclcpp::Publisher<geometry_msgs::msg::Twist>::SharedPtr commands_;
  rclcpp::Publisher<std_msgs::msg::String>::SharedPtr heartbeats_;
  rclcpp::TimerBase::SharedPtr timer_;
  bool driving_ = false;
};

int main(int argc, char ** argv)
{
  rclcpp::init(argc, argv);
  rclcpp::spin(std::make_shared<KeepASpeed>());
  rclcpp::shutdown();
  return 0;
}
