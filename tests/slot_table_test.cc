#include <gyre/platform/slot_table.h>

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace gyre {

// Ages a slot by hand: 2^31 tenants would take too long.
struct SlotTableTester {
  template <typename T>
  static void set_generation(SlotTable<T>& table, std::uint32_t slot, std::uint32_t generation) {
    table.slot_at(slot).generation = generation;
  }
};

namespace {

struct Item {
  static inline int alive = 0;
  explicit Item(int n) noexcept : number(n) { ++alive; }
  Item(const Item&) = delete;
  ~Item() { --alive; }
  int number;
};
using Table = SlotTable<Item>;

TEST(SlotIdTest, RoundTripsThroughAToken) {
  constexpr SlotId id{0x12345678, 0x9abcdef1};
  static_assert(SlotId::from_token(id.token()) == id);
  EXPECT_EQ(id.token(), 0x9abcdef112345678u);
  EXPECT_EQ(SlotId{}.token(), 0u);
}

TEST(SlotTableTest, FindsWhatIsThereAndNothingElse) {
  Table table;
  EXPECT_EQ(table.find(SlotId{}), nullptr);
  EXPECT_EQ(table.find({0, 1}), nullptr);
  const Table::Entry a = table.emplace(1);
  const Table::Entry b = table.emplace(2);
  ASSERT_NE(a.item, nullptr);
  EXPECT_EQ(table.find(a.id), a.item);
  EXPECT_EQ(table.find(b.id)->number, 2);
  EXPECT_EQ(table.find(SlotId{}), nullptr);
  EXPECT_EQ(table.find({a.id.slot, a.id.generation + 1}), nullptr);
  EXPECT_EQ(table.find({a.id.slot, a.id.generation - 1}), nullptr);
  EXPECT_EQ(table.find({1'000'000, 1}), nullptr);
  EXPECT_EQ(table.find({0xffffffff, 0xffffffff}), nullptr);
  EXPECT_EQ(table.size(), 2u);
}

TEST(SlotTableTest, AStaleIdFindsNothingAfterTheSlotIsReused) {
  Table table;
  const Table::Entry first = table.emplace(1);
  table.erase(first.id);
  EXPECT_EQ(table.find(first.id), nullptr);
  const Table::Entry second = table.emplace(2);
  EXPECT_EQ(second.id.slot, first.id.slot);
  EXPECT_NE(second.id, first.id);
  EXPECT_EQ(table.find(first.id), nullptr);
  EXPECT_EQ(table.find(second.id)->number, 2);
}

TEST(SlotTableTest, AddressesStayWhileItGrows) {
  Table table;
  std::vector<Table::Entry> entries;
  for (int i = 0; i < 10'000; ++i) entries.push_back(table.emplace(i));
  for (int i = 0; i < 10'000; ++i) {
    const auto index = static_cast<std::size_t>(i);
    ASSERT_EQ(entries[index].id.slot, index);  // Dense: the numbers can index other tables.
    ASSERT_EQ(table.find(entries[index].id), entries[index].item);
    ASSERT_EQ(entries[index].item->number, i);
  }
}

TEST(SlotTableTest, DestroysEachObjectOnce) {
  Item::alive = 0;
  {
    Table table;
    for (int i = 0; i < 100; ++i) table.emplace(i);
    table.erase(table.emplace(7).id);
    EXPECT_EQ(Item::alive, 100);
  }
  EXPECT_EQ(Item::alive, 0);
}

TEST(SlotTableTest, ForEachVisitsInSlotOrderAndMayErase) {
  Table table;
  std::vector<Table::Entry> entries;
  for (int i = 0; i < 200; ++i) entries.push_back(table.emplace(i));
  std::vector<int> visited;
  table.for_each([&](SlotId id, Item& item) {
    visited.push_back(item.number);
    if (item.number == 10) table.erase(entries[11].id);
    table.erase(id);
  });
  EXPECT_EQ(visited.size(), 199u);
  EXPECT_EQ(visited[11], 12);
  EXPECT_EQ(table.size(), 0u);
}

TEST(SlotTableTest, RetiresASlotWhoseGenerationsAreUsedUp) {
  Table table;
  const Table::Entry first = table.emplace(1);
  table.erase(first.id);
  SlotTableTester::set_generation(table, first.id.slot, 0xfffffffe);
  const Table::Entry last = table.emplace(2);
  EXPECT_EQ(last.id, (SlotId{first.id.slot, 0xffffffff}));
  table.erase(last.id);
  EXPECT_EQ(table.find(last.id), nullptr);
  EXPECT_NE(table.emplace(3).id.slot, first.id.slot);
  EXPECT_EQ(table.size(), 1u);
}

TEST(SlotTableTest, AgreesWithAMapOverRandomOperations) {
  constexpr unsigned seed = 20240613;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  Table table;
  std::map<std::uint64_t, int> model;
  std::vector<SlotId> seen;
  for (int step = 0; step < 200'000; ++step) {
    // Grows for a while, then shrinks, and so on.
    if (random() % 10 < (step / 20'000 % 2 == 0 ? 6u : 4u)) {
      const SlotId id = table.emplace(step).id;
      ASSERT_TRUE(model.emplace(id.token(), step).second) << "given out twice";
      seen.push_back(id);
    } else if (!seen.empty()) {
      const SlotId id = seen[random() % seen.size()];
      const auto found = model.find(id.token());
      Item* const item = table.find(id);
      ASSERT_EQ(item != nullptr, found != model.end());
      if (item == nullptr) continue;
      ASSERT_EQ(item->number, found->second);
      table.erase(id);
      model.erase(found);
    }
    ASSERT_EQ(table.size(), model.size());
  }
}

TEST(SlotTableDeathTest, ErasingTwiceAborts) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  Table table;
  const SlotId id = table.emplace(1).id;
  table.erase(id);
  EXPECT_DEATH(table.erase(id), "check failed");
}

}  // namespace
}  // namespace gyre
