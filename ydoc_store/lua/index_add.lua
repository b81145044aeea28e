-- The document may hold these rows.
local name = ARGV[NAME]
for number, key in ipairs(KEYS) do
  local row = ARGV[ROWS + number]
  local value = redis.call('HGET', key, row) or ''
  if not find(value, name) then
    redis.call('HSET', key, row, value .. #name .. ':' .. name)
  end
end
