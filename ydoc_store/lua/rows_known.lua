-- Which of these rows the document has.
local known = {}
for number = 3, #ARGV do
  if redis.call('SISMEMBER', KEYS[1], ARGV[number]) == 1 then table.insert(known, ARGV[number]) end
end
return known
