-- The index: each key is a hash, its fields are rows, a value the names of the documents that may hold the row,
-- each as "length:name". KEYS[i] is the hash of the row at ARGV[ROWS + i].
local NAME, ROWS = 3, 3

-- Where "length:name" of `name` begins and ends in `value`, or nil.
local function find(value, name)
  local at = 1
  while at <= #value do
    local colon = string.find(value, ':', at, true)
    local last = colon + tonumber(string.sub(value, at, colon - 1))
    if string.sub(value, colon + 1, last) == name then return at, last end
    at = last + 1
  end
end
