#include "expect.h"
#include "text.h"

#include <cstring>
#include <string>

using namespace c2r;

TEST(percent_signs_are_decoded_and_broken_ones_kept) {
  EXPECT(percent_decoded("plain") == "plain");
  EXPECT(percent_decoded("a%20b%25") == "a b%");
  EXPECT(percent_decoded("fr%C3%BCh") == "fr\xC3\xBCh");
  EXPECT(percent_decoded("%zz%4") == "%zz%4");
  EXPECT(percent_decoded("%") == "%");
  EXPECT(percent_decoded("%C3") == "?");
  EXPECT(percent_decoded("a%00b") == "a?b");
}

TEST(utf8_is_judged_as_protobuf_does) {
  EXPECT(is_utf8("", 0));
  EXPECT(is_utf8("\xE2\x82\xAC", 3));
  EXPECT(is_utf8("\xF0\x9F\x98\x80", 4));
  EXPECT(!is_utf8("\xE2\x82", 2));
  EXPECT(!is_utf8("\xC0\x80", 2));          // overlong
  EXPECT(!is_utf8("\xED\xA0\x80", 3));      // surrogate
  EXPECT(!is_utf8("\xF5\x80\x80\x80", 4));  // beyond Unicode
}

TEST(text_is_cut_at_a_whole_character) {
  EXPECT(cut("a\xC3\xBC", 2) == "a");
  EXPECT(cut("a\xC3\xBC", 3) == "a\xC3\xBC");
  char out[4];
  copy_text(out, sizeof out, "ab\xE2\x82\xAC");
  EXPECT(std::strcmp(out, "ab") == 0 && out[3] == 0);
}

TEST(formatted_text_is_bounded) {
  EXPECT(format("%s", std::string(5000, 'x').c_str()).size() == 1023);
}
