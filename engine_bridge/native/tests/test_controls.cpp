#include "controls.h"
#include "expect.h"

using namespace c2r;

static Control strength(double value) {
  Control change;
  change.has_strength = true;
  change.strength = value;
  return change;
}

TEST(a_change_is_sent_again_after_a_break_and_kept_once_acknowledged) {
  Controls controls;
  controls.begin(Opening());
  const uint64_t id = controls.change(strength(0.5));
  Control sent;
  EXPECT(controls.take(sent) && sent.id == id);
  EXPECT(!controls.take(sent));
  controls.reopen();
  EXPECT(controls.take(sent) && sent.id == id);
  Ack ack;
  ack.control_id = id;
  EXPECT(controls.acknowledge(ack));
  EXPECT(!controls.acknowledge(ack));
  EXPECT(controls.opening().strength == 0.5);
}

TEST(too_many_changes_are_folded_and_each_is_answered) {
  Controls controls;
  controls.begin(Opening());
  Control first = strength(0.1);
  first.has_prompt = true;
  first.prompt = "rain";
  controls.change(first);
  for (size_t i = 0; i < Controls::kMost; ++i) controls.change(strength(1.0));
  Ack ack;
  EXPECT(controls.next_notice(ack) && ack.control_id == 1 && ack.is_refused);
  Control sent;
  EXPECT(controls.take(sent) && sent.id == 2 && sent.prompt == "rain" && sent.strength == 1.0);
  controls.finish("over");
  size_t refused = 0;
  while (controls.next_notice(ack)) refused += ack.refused.message == "over";
  EXPECT(refused == Controls::kMost);
  controls.change(strength(0.2));
  EXPECT(controls.next_notice(ack) && ack.is_refused);
}
