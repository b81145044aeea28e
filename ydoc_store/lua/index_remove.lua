-- The document holds these rows no longer.
local name = ARGV[NAME]
for number, key in ipairs(KEYS) do
  local row = ARGV[ROWS + number]
  local value = redis.call('HGET', key, row)
  local first, last
  if value then first, last = find(value, name) end
  if first then
    value = string.sub(value, 1, first - 1) .. string.sub(value, last + 1)
    if value == '' then redis.call('HDEL', key, row) else redis.call('HSET', key, row, value) end
  end
end
