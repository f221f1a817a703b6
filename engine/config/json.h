// JSON in and out of a ConfigNode: adapter_config.json, generation_config.json and their like.
#pragma once

#include <nlohmann/json.hpp>

#include "engine/config/node.h"

namespace ft {

/// The tree of a parsed JSON value; nodes name the file, without lines. Integers beyond 64 bits with sign
/// become reals. Throws InputError if it is nested too deeply or has too many values.
ConfigNode from_json(const nlohmann::ordered_json& json, SourcePtr source);
ConfigNode from_json(const nlohmann::json& json, SourcePtr source);

/// The same tree as JSON, keys in order, numbers exact. JSON has no infinity or NaN: they throw Error.
nlohmann::ordered_json to_json(const ConfigNode& node);

}  // namespace ft
