// list.h: a doubly linked list through nodes inside its items: adding and removing never allocate and never search.
// Layer: base. The list owns nothing. Thread: its owner's. Invariant: a node is in at most one list.
#pragma once

#include "base/assert.h"

namespace tofu {

struct ListNode {
  ListNode* before = nullptr;
  ListNode* behind = nullptr;
  bool linked() const { return before != nullptr; }
  void unlink() {
    if (before == nullptr) return;
    before->behind = behind;
    behind->before = before;
    before = behind = nullptr;
  }
};

/** `Item` has the node as a base class `Tag`-ed, so that one item can be in several lists. */
template <typename Item, typename Node>
class List {
 public:
  List() { root_.before = root_.behind = &root_; }
  List(const List&) = delete;
  List& operator=(const List&) = delete;

  bool empty() const { return root_.behind == &root_; }
  void push(Item* item) {
    Node* node = item;
    TOFU_DCHECK(!node->linked());
    node->before = root_.before;
    node->behind = &root_;
    root_.before->behind = node;
    root_.before = node;
  }
  Item* front() const { return empty() ? nullptr : item_of(root_.behind); }
  Item* take() {
    Item* item = front();
    if (item != nullptr) static_cast<Node*>(item)->unlink();
    return item;
  }
  /** Calls `visit` for each item; it may unlink the item it is given, no other. */
  template <typename Visit>
  void each(Visit visit) {
    for (ListNode* node = root_.behind; node != &root_;) {
      ListNode* behind = node->behind;
      visit(item_of(node));
      node = behind;
    }
  }

 private:
  static Item* item_of(ListNode* node) { return static_cast<Item*>(static_cast<Node*>(node)); }
  mutable ListNode root_;
};

}  // namespace tofu
