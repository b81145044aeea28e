-- For each row the names of the documents that may hold it, as they are kept, or nil.
local found = {}
for number, key in ipairs(KEYS) do
  found[number] = redis.call('HGET', key, ARGV[ROWS + number])
end
return found
