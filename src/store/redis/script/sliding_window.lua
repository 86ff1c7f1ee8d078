-- sliding_window: newest segment, counts of 17 segments; segment n is at n % 17

local sliding_window = { form = '<' .. string.rep('I8', SLOTS + 2), fresh = {} }
for i = 1, SLOTS + 2 do
    sliding_window.fresh[i] = 0
end

local function slot_at(limit, now)
    return floor(now / (limit.length / SLOTS))
end

local function slot_place(slot)
    return 2 + slot % (SLOTS + 1)
end

local function slots_used(state, limit, now)
    local used = 0
    for slot = max(max(slot_at(limit, now), state[1]) - SLOTS, 0), state[1] do
        used = used + state[slot_place(slot)]
    end
    return used
end

local function slots_advance(state, limit, now)
    local current = max(slot_at(limit, now), state[1])
    local passed = min(current - state[1], SLOTS + 1)
    for slot = current + 1 - passed, current do
        state[slot_place(slot)] = 0
    end
    state[1] = current
end

function sliding_window.correct(state, limit, now)
    local newest = state[1]
    if newest * (limit.length / SLOTS) - now <= limit.length then
        return false
    end
    local current, counts = slot_at(limit, now), {}
    for age = 0, SLOTS do
        counts[age] = state[slot_place(newest - age)]
    end
    for age = 0, SLOTS do
        state[slot_place(current - age)] = age <= current and counts[age] or 0
    end
    state[1] = current
    return true
end

function sliding_window.fits(state, limit, now, hits)
    return slots_used(state, limit, now) + hits <= limit.requests
end

function sliding_window.add(state, limit, now, hits)
    local room = max(MAX_COUNT - slots_used(state, limit, now), 0)
    slots_advance(state, limit, now)
    local place = slot_place(state[1])
    state[place] = state[place] + min(hits, room)
end

function sliding_window.refund(state, limit, now, hits)
    slots_advance(state, limit, now)
    for slot = max(state[1] - SLOTS, 0), state[1] do
        local place = slot_place(slot)
        local taken = min(hits, state[place])
        state[place] = state[place] - taken
        hits = hits - taken
    end
end

function sliding_window.settle(state, limit, latest, apart)
    local newest = apart.own[1]
    if newest > slot_at(limit, latest) then
        return
    end
    slots_advance(state, limit, newest * (limit.length / SLOTS))
    local room = MAX_COUNT
    for slot = state[1], max(state[1] - SLOTS, 0), -1 do
        local count = sum(state, apart, function(of)
            return slot <= of[1] and slot >= of[1] - SLOTS and of[slot_place(slot)] or 0
        end)
        state[slot_place(slot)] = min(count, room)
        room = room - state[slot_place(slot)]
    end
end

function sliding_window.ends(state, limit, now)
    return (state[1] + 1 + SLOTS) * (limit.length / SLOTS)
end
