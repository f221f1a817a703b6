// Who wrote what in a rendered row: for people who look at what a model is going to see.
//
// The conversation is rendered once more with marks around each content. Where that changes nothing but the
// marks they show the places exactly, whatever the template is; where it does (a template that looks into its
// contents), prompts are told as the template's.
#pragma once

#include <vector>

#include "engine/data/template.h"

namespace ft {

/// Fills `speaker` of what t.render(…) made. Costs two further renderings.
void tell_speakers(const Template& t, const Conversation& conversation, std::vector<Rendered>& rows);
void tell_speakers(const Template& t, const Sample& sample, Rendered& row);

}  // namespace ft
