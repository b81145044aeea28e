"""Everything on a board can be changed in the admin, and shows on the open pages at once."""

from django.contrib import admin

from boards.models import Board, ChecklistItem, Column, Comment, Label, Task


class ColumnInline(admin.TabularInline):
    model = Column
    extra = 0
    show_change_link = True


class LabelInline(admin.TabularInline):
    model = Label
    extra = 0


class TaskInline(admin.TabularInline):
    model = Task
    extra = 0
    show_change_link = True
    fields = ["title", "assignee", "due_date", "estimate", "position"]


class ChecklistInline(admin.TabularInline):
    model = ChecklistItem
    extra = 1


class CommentInline(admin.StackedInline):
    model = Comment
    extra = 0


@admin.register(Board)
class BoardAdmin(admin.ModelAdmin):
    list_display = ["name", "purpose"]
    search_fields = ["name"]
    filter_horizontal = ["members"]
    inlines = [ColumnInline, LabelInline]


@admin.register(Column)
class ColumnAdmin(admin.ModelAdmin):
    list_display = ["name", "board", "position"]
    list_filter = ["board"]
    search_fields = ["name"]
    inlines = [TaskInline]


@admin.register(Label)
class LabelAdmin(admin.ModelAdmin):
    list_display = ["name", "board", "color"]
    list_filter = ["board"]
    search_fields = ["name"]


@admin.register(Task)
class TaskAdmin(admin.ModelAdmin):
    list_display = ["title", "column", "assignee", "due_date", "estimate"]
    list_filter = ["column__board", "column__name", "assignee", "labels"]
    list_select_related = ["column__board", "assignee"]
    search_fields = ["title", "description"]
    filter_horizontal = ["labels"]
    date_hierarchy = "due_date"
    inlines = [ChecklistInline, CommentInline]


@admin.register(ChecklistItem)
class ChecklistItemAdmin(admin.ModelAdmin):
    list_display = ["text", "task", "done"]
    list_editable = ["done"]
    list_filter = ["done", "task__column__board"]
    search_fields = ["text"]


@admin.register(Comment)
class CommentAdmin(admin.ModelAdmin):
    list_display = ["text", "author", "task", "created_at"]
    list_filter = ["task__column__board", "author"]
    search_fields = ["text"]
