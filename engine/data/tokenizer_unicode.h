// Unicode's normal forms, letter cases and categories, as far as tokenizers ask for them (utf8proc).
#pragma once

#include <string>
#include <string_view>

namespace ft {

enum class UnicodeForm { nfc, nfd, nfkc, nfkd };

/// Appends the form of well-formed `text` and returns true; or returns false for a text that is plainly in
/// that form already.
bool append_normal_form(std::string_view text, UnicodeForm form, std::string& out);

/// The lower case of one character, which for U+0130 is two: `more` is the second, else 0.
char32_t lower_case(char32_t code, char32_t& more);

bool is_mark(char32_t code);               // Mn, Mc, Me
bool is_nonspacing_mark(char32_t code);    // Mn
bool is_punctuation(char32_t code);        // P*
bool is_word_character(char32_t code);     // L*, M*, N*
bool is_control_or_format(char32_t code);  // Cc, Cf, Co
/// The blocks of CJK ideographs that BERT takes character by character.
bool is_bert_ideograph(char32_t code);

}  // namespace ft
