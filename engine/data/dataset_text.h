// Raw text as rows: a document's ids, in blocks.
//
// A document is what the tokenizer puts before a text, the text, and the end token. It is cut into blocks of
// at most block_size ids; each but the first begins with the last id of the one before it, so that every id
// is a target exactly once, and perplexity is over all of them. Rows never hold two documents.
#pragma once

#include <string_view>
#include <vector>

#include "engine/data/dataset_formats.h"

namespace ft {

int64_t block_size(const DatasetOptions& options);

std::vector<NewRow> document_rows(std::string_view text, const DatasetOptions& options);

/// A file that is one document, tokenised a part at a time: parts end with a line before one that does not
/// begin with white space, where byte-level tokenizers end a word anyway.
void read_plain_text(const DataSet& set, const DatasetOptions& options, const OnRow& on_row);

}  // namespace ft
