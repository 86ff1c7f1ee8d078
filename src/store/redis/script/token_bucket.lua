-- token_bucket: when the debt was computed, the debt in parts, the parts of a hit

local token_bucket = { form = '<I8I8I8', fresh = { 0, 0, 0 } }

function token_bucket.is_valid(state)
    return state[1] <= MAX_TIME and state[2] <= MAX_COUNT and state[3] <= MAX_UNITS
end

-- a * b / c, rounded up, at most MAX_COUNT, where a * b may be far beyond 2^53.
local function times_over(a, b, c)
    local whole, rest = floor(b / c), b % c
    local quotient, left = 0, 0
    for bit = 52, 0, -1 do
        quotient, left = quotient * 2, left * 2
        if floor(a / 2 ^ bit) % 2 == 1 then
            quotient, left = quotient + whole, left + rest
        end
        quotient, left = quotient + floor(left / c), left % c
        if quotient > MAX_COUNT then
            return MAX_COUNT
        end
    end
    if left > 0 then
        quotient = quotient + 1
    end
    return min(quotient, MAX_COUNT)
end

local function bucket_debt(state, limit, now)
    local parts = state[2]
    if parts > 0 and state[3] ~= limit.units then
        parts = times_over(parts, limit.units, max(state[3], 1))
    end
    return max(parts - max(now - state[1], 0) * limit.refill, 0)
end

local function bucket_write(state, limit, now, parts)
    state[1], state[2], state[3] = max(state[1], now), parts, limit.units
end

function token_bucket.correct(state, limit, now)
    if state[1] - now > limit.length then
        state[1] = now
        return true
    end
    return false
end

function token_bucket.admits(state, limit, now, hits)
    return limit.requests > 0 and bucket_debt(state, limit, now) + hits * limit.units <= limit.capacity
end

function token_bucket.add(state, limit, now, hits)
    bucket_write(state, limit, now, min(bucket_debt(state, limit, now) + hits * limit.units, MAX_COUNT))
end

function token_bucket.refund(state, limit, now, hits)
    bucket_write(state, limit, now, max(bucket_debt(state, limit, now) - hits * limit.units, 0))
end

function token_bucket.merge(state, limit, latest, delta)
    local at = max(state[1], delta.here[1])
    if delta.here[1] <= latest then
        local parts = merged(state, delta, function(of) return bucket_debt(of, limit, at) end)
        bucket_write(state, limit, at, min(parts, MAX_COUNT))
    end
end

function token_bucket.ends(state, limit, now)
    if limit.refill == 0 then
        return state[1] + limit.length
    end
    return state[1] + state[2] / limit.refill
end
